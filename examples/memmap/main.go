// Memmap passes a text between unrelated processes through a shared-memory object, with a
// named semaphore that signals that the text is there. Each half interoperates with the
// document's C program for the other half.
//
//	$ go run ./examples/memmap send   # in one terminal
//	process:2695 send:yuki...
//	$ go run ./examples/memmap recv   # in another
//	process:2788 recv:yuki...
//
// Differences from the document: the sender stays until the text was taken, or until
// Ctrl-C, and removes the objects, which the document's sender leaves behind forever;
// and it refuses to overwrite existing objects. To remove what the C sender has left:
//
//	$ rm /dev/shm/memmap /dev/shm/sem.memmap_sem
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/posix"
)

const (
	object    = "/memmap"
	semaphore = "/memmap_sem"
	size      = 10
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "memmap:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 {
		switch args[0] {
		case "send":
			return send(ctx)
		case "recv":
			return recv(ctx)
		}
	}
	return errors.New("usage: memmap send|recv")
}

func send(ctx context.Context) (err error) {
	obj, err := posix.CreateObject(object, size, &posix.ObjectOptions{Mode: 0o666})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkObject(object)) }()
	mem, err := obj.Map(nil)
	obj.Close() // the mapping stays
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	ready, err := posix.CreateSemaphore(semaphore, 0, &posix.SemaphoreOptions{Mode: 0o666})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkSemaphore(semaphore)) }()

	text := []byte("yuki...\x00")
	if _, err := mem.WriteAt(text, 0); err != nil {
		return err
	}
	if err := ready.Release(1); err != nil {
		return err
	}
	fmt.Printf("process:%d send:%s\n", os.Getpid(), text[:len(text)-1])
	return taken(ctx, ready)
}

// taken waits until the semaphore is zero. POSIX has no call for that; semop(2) does.
func taken(ctx context.Context, ready *posix.Semaphore) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		value, err := ready.Value()
		if err != nil || value == 0 {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func recv(ctx context.Context) (err error) {
	obj, err := posix.OpenObject(object, posix.ReadOnly)
	if err != nil {
		return fmt.Errorf("%w (start the sender first)", err)
	}
	defer obj.Close()
	ready, err := posix.OpenSemaphore(semaphore)
	if err != nil {
		return err
	}
	defer ready.Close()
	if err := ready.Acquire(ctx, 1); err != nil {
		return err
	}
	// Map only now: the C sender makes the object first and sets its size later.
	mem, err := obj.Map(&posix.MapOptions{Prot: posix.ProtRead})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	buf := make([]byte, mem.Len())
	if _, err := mem.ReadAt(buf, 0); err != nil {
		return err
	}
	text, _, _ := bytes.Cut(buf, []byte{0})
	fmt.Printf("process:%d recv:%s\n", os.Getpid(), text)
	return nil
}
