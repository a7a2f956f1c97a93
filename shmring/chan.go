package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

// A Chan is a ring whose messages are values of a type: up to 64 processes send, and one
// receives. The type holds no pointers, strings or slices. A description of it is in the
// memory, and every process that opens the Chan checks it. Otherwise a Chan works like a
// Ring.
type Chan[T any] struct{ r *Ring }

// OpenOrCreateChan opens the Chan in the POSIX object called name, or makes one that holds
// at least n values, as OpenOrCreate does with rings. A Chan of another size is
// ErrMismatch; n of 0 accepts any size, and makes a Chan of 1 MiB. In o, Capacity is 0, and
// Producers of 0 means Many.
//
// Errors: ErrPointers; ErrTooLarge (n); ErrMismatch (also: values of another type; the
// error says how they differ); those of OpenOrCreate.
func OpenOrCreateChan[T any](ctx context.Context, name string, n int, o *NamedOptions) (*Chan[T], error) {
	var all NamedOptions
	if o != nil {
		all = *o
	}
	return findChan[T](n, all, o.at(ctx, byName(name), true))
}

// findChan opens or makes a Chan.
func findChan[T any](n int, all NamedOptions, find finder) (*Chan[T], error) {
	s, err := schemaOf[T]()
	if err != nil {
		return nil, err
	}
	if all.Capacity != 0 {
		return nil, errors.New("shmring: the capacity of a Chan is a number of values, not of bytes")
	}
	if all.Capacity, err = s.capacity(n); err != nil {
		return nil, err
	}
	if all.Producers == 0 {
		all.Producers = Many
	}
	r, err := all.ring(find, &s)
	if err != nil {
		return nil, err
	}
	return &Chan[T]{r}, nil
}

// capacity returns the capacity of a ring that holds at least n values, or 0 if n is 0 and
// two values fit into a ring of the default capacity.
func (s schema) capacity(n int) (int, error) {
	each := extent(s.size)
	if n == 0 && 2*each <= namedCapacity {
		return 0, nil
	}
	need := max(uint64(max(n, 1)), 2) * each
	if n < 0 || uint64(n) > maxCapacity/each || need > min(maxCapacity, math.MaxInt/4) {
		return 0, fmt.Errorf("shmring: %w: %d values of %d bytes", ErrTooLarge, n, s.size)
	}
	c := uint64(minCapacity)
	for c < need {
		c *= 2
	}
	return int(c), nil
}

// CreateChanIn makes a Chan in mem, as CreateIn makes a ring. Errors: ErrPointers;
// ErrTooLarge (not even two values fit); those of CreateIn.
func CreateChanIn[T any](mem Memory, o *Options) (*Chan[T], error) {
	return chanIn[T](mem, func(b []byte, s *schema) (*Ring, error) { return create(b, o, s) })
}

// OpenChanIn returns the Chan that another call made in mem, as OpenIn does. Errors:
// ErrPointers; ErrMismatch; those of OpenIn.
func OpenChanIn[T any](mem Memory) (*Chan[T], error) { return chanIn[T](mem, openAs) }

func chanIn[T any](mem Memory, open func([]byte, *schema) (*Ring, error)) (*Chan[T], error) {
	s, err := schemaOf[T]()
	if err != nil {
		return nil, err
	}
	r, err := ringIn(mem, func(b []byte) (*Ring, error) { return open(b, &s) })
	if err != nil {
		return nil, err
	}
	if s.size > uint64(r.MaxMessage()) {
		return nil, errors.Join(fmt.Errorf("shmring: %w: a value of %d bytes, at most %d", ErrTooLarge, s.size, r.MaxMessage()), r.Close())
	}
	return &Chan[T]{r}, nil
}

// Ring returns the ring, to see its members and its progress. A producer or consumer that
// joins it must send and expect values as they lie in memory.
func (c *Chan[T]) Ring() *Ring { return c.r }

// Close closes the descriptor of the Chan, as Ring.Close does.
func (c *Chan[T]) Close() error { return c.r.Close() }

// Remove removes the name of a Chan of OpenOrCreateChan, under the same conditions as
// Ring.Remove.
func (c *Chan[T]) Remove() error { return c.r.Remove() }

// CloseAndRemove closes the Chan, and removes its name if no other process has it open, as
// Ring.CloseAndRemove does.
func (c *Chan[T]) CloseAndRemove() error { return c.r.CloseAndRemove() }

// Unlink removes the name at once, even though processes have the Chan open, as Ring.Unlink
// does.
func (c *Chan[T]) Unlink() error { return c.r.Unlink() }

// A Sender sends values into a Chan. Only one goroutine may use it at a time.
type Sender[T any] struct{ p *Producer }

// JoinSender joins as a sender. Errors: those of Ring.JoinProducer.
func (c *Chan[T]) JoinSender() (*Sender[T], error) {
	p, err := c.r.JoinProducer()
	if err != nil {
		return nil, err
	}
	return &Sender[T]{p}, nil
}

// Send sends a value. It blocks, and fails, like Producer.Claim. Other errors: ErrFault.
func (s *Sender[T]) Send(ctx context.Context, v T) error {
	return guarded(func() error { return s.p.Send(ctx, bytesOf(&v)) })
}

// TrySend is Send without blocking. ok reports whether there was room.
func (s *Sender[T]) TrySend(v T) (ok bool, err error) {
	err = guarded(func() error {
		value := bytesOf(&v)
		var claim Claim
		if claim, ok, err = s.p.TryClaim(len(value)); !ok || err != nil {
			return err
		}
		copyCached(claim.Bytes(), value)
		return claim.Commit()
	})
	return ok && err == nil, err
}

// Flush blocks until all values sent so far have been received, as Producer.Flush does.
func (s *Sender[T]) Flush(ctx context.Context) error {
	return guarded(func() error { return s.p.Flush(ctx) })
}

// Close leaves the Chan. When the last sender has left, the receiver gets io.EOF after the
// last value. A second Close returns ErrClosed.
func (s *Sender[T]) Close() error { return guarded(s.p.Close) }

// A Receiver receives values from a Chan. Only one goroutine may use it at a time.
type Receiver[T any] struct{ c *Consumer }

// JoinReceiver takes the receiver's role. Errors: those of Ring.JoinConsumer.
func (c *Chan[T]) JoinReceiver() (*Receiver[T], error) {
	consumer, err := c.r.JoinConsumer()
	if err != nil {
		return nil, err
	}
	return &Receiver[T]{consumer}, nil
}

// Receive returns the next value. If the process dies before its next call of a method, the
// next receiver gets this value again. Receive blocks, and fails, like Consumer.Receive.
// Other errors: ErrFault.
//
// An untrusted peer can send any bytes, even a bool that is neither true nor false: check a
// value before you rely on it.
func (r *Receiver[T]) Receive(ctx context.Context) (v T, err error) {
	err = guarded(func() error {
		msg, err := r.c.Receive(ctx)
		if err != nil {
			return err
		}
		return unpack(bytesOf(&v), msg)
	})
	return v, err
}

// TryReceive is Receive without blocking. ok reports whether there was a value.
func (r *Receiver[T]) TryReceive() (v T, ok bool, err error) {
	err = guarded(func() error {
		var msg []byte
		if msg, ok, err = r.c.TryReceive(); !ok || err != nil {
			return err
		}
		return unpack(bytesOf(&v), msg)
	})
	return v, ok && err == nil, err
}

func unpack(value, msg []byte) error {
	if len(msg) != len(value) {
		return corrupt("length of a value", uint64(len(msg)))
	}
	copyCached(value, msg)
	return nil
}

func (r *Receiver[T]) source() source { return r.c }

// Values returns all values. The sequence ends without an error when every sender has
// closed, and after any other error. The value at which a loop stops early counts as
// received.
func (r *Receiver[T]) Values(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := r.Receive(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(v, err) || err != nil {
				_ = guarded(func() error { r.c.Release(); return nil })
				return
			}
		}
	}
}

// Close gives up the role. Senders get ErrClosed until there is another receiver. A second
// Close returns ErrClosed.
func (r *Receiver[T]) Close() error { return guarded(r.c.Close) }
