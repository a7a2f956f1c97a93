// Sysv passes a text between unrelated processes through a System V segment, with a
// semaphore that signals that the text is there. It is the shortest correct way.
//
//	$ go run ./examples/sysv write 'good morning'   # in one terminal
//	waiting for a reader
//	$ go run ./examples/sysv read                   # in another
//	You wrote: good morning
//
// The writer stays until the text was read, or until Ctrl-C, and removes both objects;
// it refuses to use existing ones. For many lines, and for compatibility with the
// document's own programs, see "gshm demo" and "gshm demo --classic".
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sysvipc/gipc/sysv"
)

// key is the key of both objects: segments and semaphore sets have separate keys.
const key sysv.Key = 0x67697063

const size = 4096

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sysv:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "write":
		return write(ctx, args[1])
	case len(args) == 1 && args[0] == "read":
		return read(ctx)
	}
	return errors.New("usage: sysv write TEXT | sysv read")
}

func write(ctx context.Context, text string) (err error) {
	seg, err := sysv.CreateSegment(key, size, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seg.Remove()) }()
	mem, err := seg.Attach(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Detach()) }()
	set, err := sysv.CreateSet(key, 1, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Remove()) }()

	if _, err := mem.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	if err := set.Do(ctx, sysv.Op{Add: 1}); err != nil { // there is a text
		return err
	}
	fmt.Println("waiting for a reader")
	err = set.Do(ctx, sysv.Op{Add: 0}) // wait until it was taken
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func read(ctx context.Context) (err error) {
	seg, err := sysv.OpenSegment(key)
	if err != nil {
		return fmt.Errorf("%w (start the writer first)", err)
	}
	mem, err := seg.Attach(&sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Detach()) }()
	set, err := sysv.OpenSet(key)
	if err != nil {
		return err
	}
	// From here on the writer may remove the segment: it exists for as long as it is
	// attached.
	if err := set.Do(ctx, sysv.Op{Add: -1}); err != nil {
		return err
	}
	buf := make([]byte, mem.Len())
	if _, err := mem.ReadAt(buf, 0); err != nil {
		return err
	}
	text, _, _ := bytes.Cut(buf, []byte{0})
	fmt.Printf("You wrote: %s\n", text)
	return nil
}
