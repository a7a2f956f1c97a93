package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// forEver is the context of every wait: a peer ends by being killed.
func forEver() context.Context { return context.Background() }

// errLength means that a message does not have the common length.
var errLength = errors.New("a message has the wrong length")

func lengthIs(got int, msg []byte) error {
	if got != len(msg) {
		return fmt.Errorf("%w: %d bytes, want %d", errLength, got, len(msg))
	}
	return nil
}

type ring struct {
	out *shmring.Producer
	in  *shmring.Consumer
}

func (l *ring) send(msg []byte) error { return l.out.Send(forEver(), msg) }

func (l *ring) receive(msg []byte) error {
	text, err := l.in.Receive(forEver())
	if err != nil {
		return err
	}
	return lengthIs(copy(msg, text), msg)
}

type stream struct {
	out *shmring.Writer
	in  *shmring.Reader
}

func (l *stream) send(msg []byte) error {
	_, err := l.out.Write(msg)
	return err
}

func (l *stream) receive(msg []byte) error {
	_, err := io.ReadFull(l.in, msg)
	return err
}

// A semaphore is a System V or a POSIX semaphore.
type semaphore interface {
	down() error
	up() error
}

type sysvSemaphore struct{ s *semops.Semaphore }

func (s sysvSemaphore) down() error { return s.s.Acquire(forEver(), 1) }
func (s sysvSemaphore) up() error   { return s.s.Release(1) }

type posixSemaphore struct{ s *posix.Semaphore }

func (s posixSemaphore) down() error { return s.s.Acquire(forEver(), 1) }
func (s posixSemaphore) up() error   { return s.s.Release(1) }

// slots pass messages through a bounded buffer with one producer and one consumer.
type slots struct{ out, in *slotRow }

// A slotRow is the buffer for one direction.
type slotRow struct {
	memory     []byte
	stride, n  int
	next       int // slot
	free, full semaphore
}

// newSlots returns the slots in memory; its first half is for messages that side 0
// sends. The semaphores are, in order: free, full, free, full.
func newSlots(r role, memory []byte, open func(num int) (semaphore, error)) (link, error) {
	var rows [2]*slotRow
	for i := range rows {
		row := new(slotRow)
		row.stride, row.n = slotLayout(r.size)
		row.memory = memory[i*row.n*row.stride:][:row.n*row.stride]
		var err error
		if row.free, err = open(2 * i); err == nil {
			row.full, err = open(2*i + 1)
		}
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	l := new(slots)
	l.out, l.in = directions(r.side, rows)
	return l, nil
}

func (r *slotRow) slot() []byte {
	s := r.memory[r.next*r.stride:][:r.stride]
	r.next = (r.next + 1) % r.n
	return s
}

func (l *slots) send(msg []byte) error {
	if err := l.out.free.down(); err != nil {
		return err
	}
	copy(l.out.slot(), msg)
	return l.out.full.up()
}

func (l *slots) receive(msg []byte) error {
	if err := l.in.full.down(); err != nil {
		return err
	}
	copy(msg, l.in.slot())
	return l.in.free.up()
}

// descriptors are a pipe in each direction, or a socket.
type descriptors struct{ in, out int }

func (l descriptors) send(msg []byte) error    { return inFull(unix.Write, l.out, msg) }
func (l descriptors) receive(msg []byte) error { return inFull(unix.Read, l.in, msg) }

// inFull transfers a whole message.
func inFull(transfer func(fd int, p []byte) (int, error), fd int, msg []byte) error {
	for len(msg) > 0 {
		n, err := transfer(fd, msg)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			msg = msg[n:]
		}
	}
	return nil
}

type sysvQueues struct{ in, out sysv.Queue }

// messageType is the type of all messages.
const messageType = 1

func (l sysvQueues) send(msg []byte) error { return l.out.Send(forEver(), messageType, msg) }

func (l sysvQueues) receive(msg []byte) error {
	n, _, err := l.in.Receive(forEver(), msg, sysv.ReceiveOptions{})
	if err != nil {
		return err
	}
	return lengthIs(n, msg)
}

type posixQueues struct{ in, out *posix.Queue }

func (l posixQueues) send(msg []byte) error { return l.out.Send(forEver(), msg, 0) }

func (l posixQueues) receive(msg []byte) error {
	n, _, err := l.in.Receive(forEver(), msg)
	if err != nil {
		return err
	}
	return lengthIs(n, msg)
}

// copies copies messages into memory and out again, as if another process had done one
// half.
type copies struct {
	memory []byte
	next   int
}

func (l *copies) send(msg []byte) error {
	copy(msg, l.in(msg))
	return nil
}

func (l *copies) receive(msg []byte) error { return l.send(msg) }

// in copies a message to the least recently used memory.
func (l *copies) in(msg []byte) []byte {
	if l.next+len(msg) > len(l.memory) {
		l.next = 0
	}
	at := l.memory[l.next:][:len(msg)]
	l.next += len(msg)
	copy(at, msg)
	return at
}

// rate returns how many messages per second can be copied in. A real receiver would
// copy them out at the same time.
func (l *copies) rate(msg []byte, d time.Duration) float64 {
	n, began := 0, time.Now()
	for time.Since(began) < d {
		for range between(len(msg)) {
			l.in(msg)
			n++
		}
	}
	return float64(n) / time.Since(began).Seconds()
}
