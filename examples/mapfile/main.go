// Mapfile passes a number between unrelated processes through a file that both map.
//
//	$ go run ./examples/mapfile send /tmp/number
//	process:2695 send:111
//	$ go run ./examples/mapfile receive /tmp/number
//	process:2788 receive:111
//	$ rm /tmp/number
//
// The processes need not run at the same time: the file keeps the number. Differences
// from the document: the sender makes a new file and never truncates an existing one,
// and the receiver makes none. The document's receiver, started first, dies of SIGBUS
// on an empty file.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/sysvipc/gipc/posix"
)

const size = 4 // bytes of an int

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mapfile:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 {
		switch args[0] {
		case "send":
			return send(args[1])
		case "receive":
			return receive(args[1])
		}
	}
	return errors.New("usage: mapfile send|receive FILE")
}

func send(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := f.Truncate(size); err != nil {
		return err
	}
	mem, err := posix.MapFile(f, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	number, err := posix.View[int32](mem, 0)
	if err != nil {
		return err
	}
	*number = 111
	fmt.Printf("process:%d send:%d\n", os.Getpid(), *number)
	return nil
}

func receive(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	mem, err := posix.MapFile(f, &posix.MapOptions{Length: size, Prot: posix.ProtRead})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	number, err := posix.View[int32](mem, 0)
	if err != nil {
		return err
	}
	fmt.Printf("process:%d receive:%d\n", os.Getpid(), *number)
	return nil
}
