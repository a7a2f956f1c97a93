// Logger writes the messages of any number of clients to a log file. It is the server
// of the QNX document, and also serves C clients built from it.
//
// In one terminal, until Ctrl-C:
//
//	$ go run ./examples/logger
//	logging to /tmp/example.log
//
// In others:
//
//	$ go run ./examples/client
//	Please type a message: Hello World!
//
// and then
//
//	$ cat /tmp/example.log
//	2785: Fri Dec 17 02:02:11 2021 Hello World!
//
// Differences from the document: this logger makes the mutex last, when everything else is
// ready, so that no client finds only some of the objects. It refuses to share them with
// another logger, because a second one would reset the slots under the first one's clients.
// It removes them at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"github.com/sysvipc/gipc/examples/internal/spool"
	"github.com/sysvipc/gipc/posix"
)

func main() {
	path := flag.String("log", "/tmp/example.log", "append to this `file`")
	flag.Parse()
	if err := run(*path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: another logger runs, or one was killed (then remove what it left from /dev/shm)", err)
		}
		fmt.Fprintln(os.Stderr, "logger:", err)
		os.Exit(1)
	}
}

func run(path string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_SYNC, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()

	obj, err := posix.CreateObject(spool.Memory, int64(unsafe.Sizeof(spool.Shared{})), &posix.ObjectOptions{Mode: 0o660})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkObject(spool.Memory)) }()
	mem, err := obj.Map(nil)
	obj.Close() // the mapping stays
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	shared, err := posix.View[spool.Shared](mem, 0)
	if err != nil {
		return err
	}

	options := &posix.SemaphoreOptions{Mode: 0o660}
	free, err := posix.CreateSemaphore(spool.Free, spool.Slots, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkSemaphore(spool.Free)) }()
	waiting, err := posix.CreateSemaphore(spool.Waiting, 0, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkSemaphore(spool.Waiting)) }()
	// Clients look for the mutex first, so make it last.
	if _, err := posix.CreateSemaphore(spool.Mutex, 1, options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkSemaphore(spool.Mutex)) }()

	fmt.Println("logging to", path)
	return write(ctx, log, shared, waiting, free)
}

// write writes the messages to the log until ctx is done and no message is left.
func write(ctx context.Context, log io.Writer, shared *spool.Shared, waiting, free *posix.Semaphore) error {
	for {
		err := waiting.Acquire(ctx, 1)
		if errors.Is(err, context.Canceled) {
			// Log what arrived while Acquire was cancelled, too: nothing is lost.
			var more bool
			if more, err = waiting.TryAcquire(1); !more {
				return err
			}
		}
		if err != nil {
			return err
		}
		slot, err := shared.Next(&shared.Logged)
		if err != nil {
			return err
		}
		text := slot.Text()
		// The text was copied, so the slot can be refilled while we write.
		if err := free.Release(1); err != nil {
			return err
		}
		if _, err := log.Write(text); err != nil {
			return err
		}
	}
}
