// Client sends the lines that it reads to the logger, like the client of the QNX
// document; a logger built from that document understands it.
//
// While examples/logger runs, until Ctrl-D or Ctrl-C:
//
//	$ go run ./examples/client
//	Please type a message: Hello World!
//	Please type a message:
//
// The log then has a line like
//
//	2785: Fri Dec 17 02:02:11 2021 Hello World!
//
// Difference from the document: Ctrl-C does not end it while it holds the mutex, which
// nothing would release. (kill -9 still can: these semaphores do not record their
// holder. Those of System V do, see SEM_UNDO in semop(2).)
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/examples/internal/spool"
	"github.com/sysvipc/gipc/posix"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

// A client holds the objects that it needs to send lines to the logger.
type client struct {
	mutex, free, waiting *posix.Semaphore
	shared               *spool.Shared
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	mutex, err := posix.OpenSemaphore(spool.Mutex)
	if err != nil {
		return fmt.Errorf("%w (is the logger running?)", err)
	}
	free, err := posix.OpenSemaphore(spool.Free)
	if err != nil {
		return err
	}
	waiting, err := posix.OpenSemaphore(spool.Waiting)
	if err != nil {
		return err
	}
	obj, err := posix.OpenObject(spool.Memory, posix.ReadWrite)
	if err != nil {
		return err
	}
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

	c := client{mutex, free, waiting, shared}
	messages := lines()
	for {
		fmt.Print("Please type a message: ")
		select {
		case message, ok := <-messages:
			if !ok {
				return nil
			}
			if err := c.send(ctx, message); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// send waits for a free slot and puts a message into it.
func (c *client) send(ctx context.Context, message string) error {
	if err := c.free.Acquire(ctx, 1); err != nil {
		return err
	}
	// Several clients may have a slot each, but must take them one after the other.
	if err := c.mutex.Acquire(ctx, 1); err != nil {
		return errors.Join(err, c.free.Release(1))
	}
	slot, err := c.shared.Next(&c.shared.Fill)
	if err != nil {
		return errors.Join(err, c.mutex.Release(1), c.free.Release(1))
	}
	slot.SetText(fmt.Sprintf("%d: %s %s\n", os.Getpid(), time.Now().Format(time.ANSIC), message))
	return errors.Join(c.mutex.Release(1), c.waiting.Release(1))
}

// lines returns the lines of standard input. A line too long for a slot is split.
func lines() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewReaderSize(os.Stdin, 197); ; {
			line, _, err := in.ReadLine()
			if err != nil {
				return
			}
			lines <- string(line)
		}
	}()
	return lines
}
