// Strategies shows three ways for a parent and a child to coordinate shared memory:
// semaphores in the memory, atomic operations on it, and messages about it.
//
//	$ go run ./examples/strategies
//	semaphore: 2 processes added 50000 each: 100000
//	atomics: 2 processes added 50000 each: 100000
//	message: 16 bytes through the queue for 1048576 in memory: the text is whole
//
// The memory is a memfd, which ends with the processes. The message queue gets a new
// name in every run and is removed at the end.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/posix"
)

const (
	rounds    = 50_000
	textStart = 4096    // where the large message begins
	textSize  = 1 << 20 // bytes
)

// shared is the beginning of the memory.
type shared struct {
	Lock    [posix.SemaphoreSize]byte // a semaphore, like a sem_t
	Counter int64                     // belongs to the holder of the lock
	Atomic  atomic.Int64              // belongs to everybody
}

// A reference has the place of a message in the memory. It is sent instead of the message.
type reference struct {
	Offset, Length uint32
	Sum, _         uint32
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// If one process is killed, the other must not wait forever.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	var err error
	if len(os.Args) == 3 {
		err = child(ctx, os.Args[1], os.Args[2])
	} else {
		err = parent(ctx)
	}
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "strategies:", err)
		os.Exit(1)
	}
}

func parent(ctx context.Context) (err error) {
	obj, err := posix.CreateMemfd("strategies", textStart+textSize, nil)
	if err != nil {
		return err
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	lock, err := posix.InitSemaphore(mem, 0, 1)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("/gipc-strategies-%d", os.Getpid())
	queue, err := posix.CreateQueue(name, &posix.QueueOptions{MaxMsgs: 1, MsgSize: binary.Size(reference{})})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close(), posix.UnlinkQueue(name)) }()

	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, name)
	cmd.Args = append(cmd.Args, strconv.Itoa(obj.PassTo(&cmd.ExtraFiles)))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := add(ctx, mem, lock); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	result, err := receive(ctx, mem, queue)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return err
	}
	s, err := posix.View[shared](mem, 0)
	if err != nil {
		return err
	}
	fmt.Printf("semaphore: 2 processes added %d each: %d\n", rounds, s.Counter)
	fmt.Printf("atomics: 2 processes added %d each: %d\n", rounds, s.Atomic.Load())
	fmt.Println("message:", result)
	return nil
}

// child does the same additions, and sends the large message.
func child(ctx context.Context, name, descriptor string) (err error) {
	fd, err := strconv.Atoi(descriptor)
	if err != nil {
		return err
	}
	obj, err := posix.Inherit(fd)
	if err != nil {
		return err
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	lock, err := posix.SemaphoreAt(mem, 0)
	if err != nil {
		return err
	}
	queue, err := posix.OpenQueue(name, posix.WriteOnly)
	if err != nil {
		return err
	}
	defer queue.Close()
	if err := add(ctx, mem, lock); err != nil {
		return err
	}
	return send(ctx, mem, queue)
}

// add adds to both counters.
func add(ctx context.Context, mem *posix.Mapping, lock *posix.Semaphore) error {
	s, err := posix.View[shared](mem, 0)
	if err != nil {
		return err
	}
	for range rounds {
		if err := lock.Acquire(ctx, 1); err != nil {
			return err
		}
		s.Counter++
		if err := lock.Release(1); err != nil {
			return err
		}
		s.Atomic.Add(1)
	}
	return nil
}

// send writes a large text to the memory and a small message to the queue.
func send(ctx context.Context, mem *posix.Mapping, queue *posix.Queue) error {
	text := bytes.Repeat([]byte("0123456789abcdef"), textSize/16)
	if _, err := mem.WriteAt(text, textStart); err != nil {
		return err
	}
	ref := reference{Offset: textStart, Length: textSize, Sum: crc32.ChecksumIEEE(text)}
	msg, err := binary.Append(nil, binary.NativeEndian, ref)
	if err != nil {
		return err
	}
	return queue.Send(ctx, msg, 0)
}

// receive takes the small message and reads the text in place.
func receive(ctx context.Context, mem *posix.Mapping, queue *posix.Queue) (string, error) {
	msg := make([]byte, binary.Size(reference{}))
	n, _, err := queue.Receive(ctx, msg)
	if err != nil {
		return "", err
	}
	var ref reference
	if _, err := binary.Decode(msg[:n], binary.NativeEndian, &ref); err != nil {
		return "", err
	}
	// The bounds come from another process, so ViewSlice checks them.
	text, err := posix.ViewSlice[byte](mem, int(ref.Offset), int(ref.Length))
	if err != nil {
		return "", err
	}
	if crc32.ChecksumIEEE(text) != ref.Sum {
		return "", errors.New("the text is damaged")
	}
	return fmt.Sprintf("%d bytes through the queue for %d in memory: the text is whole", n, len(text)), nil
}
