package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"unsafe"
)

// wornRing returns a ring that has carried pos bytes in records of piece bytes. Only the
// state words at the beginnings of records have been written.
func wornRing(t *testing.T, kind Producers, capacity, piece int, pos uint64) *Ring {
	t.Helper()
	r, err := Create(make([]byte, Size(capacity)), &Options{Producers: kind, Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	for at := pos - r.capacity; at != pos; at += uint64(piece) {
		r.state(at).Store(r.word(at, uint64(piece), 0, committed))
	}
	r.header.tail.Store(pos)
	r.header.head.Store(pos)
	return r
}

// TestWornRing sends messages of another size through a ring that has carried so many bytes
// that a state word that was never written could seem to belong to this lap or a later one.
func TestWornRing(t *testing.T) {
	const capacity, piece = 1 << 16, 1 << 12
	for _, kind := range []Producers{One, Many} {
		for _, pos := range []uint64{1 << 54, 1 << 55, 1<<55 + capacity, 1<<56 - capacity, 1 << 56, math.MaxUint64 - 2*capacity + 1} {
			t.Run(fmt.Sprintf("%d/%#x", kind, pos), func(t *testing.T) {
				r := wornRing(t, kind, capacity, piece, pos)
				p, err := r.JoinProducer()
				if err != nil {
					t.Fatal(err)
				}
				c, err := r.JoinConsumer()
				if err != nil {
					t.Fatal(err)
				}
				for i := range 5 * capacity / piece {
					n := piece
					if i%3 == 2 {
						n = 100
					}
					if _, ok, err := p.TryClaim(n); !ok || err != nil {
						t.Fatalf("message %d: TryClaim = %v, %v", i, ok, err)
					}
					if err := p.publish(uint64(n)); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
					if msg, ok, err := c.TryReceive(); len(msg) != n || !ok || err != nil {
						t.Fatalf("message %d: %d bytes, %v, %v, want %d", i, len(msg), ok, err, n)
					}
					if _, ok, err := c.TryReceive(); ok || err != nil {
						t.Fatalf("after message %d: TryReceive = %v, %v", i, ok, err)
					}
				}
			})
		}
	}
}

// TestSweep lets a consumer pass through the first lap of a sweep period. No older state
// word may remain.
func TestSweep(t *testing.T) {
	const capacity, piece = 1 << 16, 1 << 12
	const start uint64 = 3 * sweepPeriod
	r := wornRing(t, Many, capacity, piece, start)
	old := r.word(capacity+unit, 1, 0, committed)
	for u := range r.states {
		r.states[u].CompareAndSwap(0, old)
	}
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	for range capacity / piece {
		if err := p.Send(t.Context(), make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Release()
	for u := range r.states {
		if w, at := r.states[u].Load(), start+uint64(u)*unit; w != r.word(at, 0, 0, free) {
			t.Fatalf("the state word of unit %d is %#x after a sweep", u, w)
		}
	}
}

// TestStaleBatch lets a producer join after another one died in a batch. The state words
// that it left are where the new producer's records end.
func TestStaleBatch(t *testing.T) {
	for _, size := range []int{0, unit, 2 * unit, 3*unit + 1} {
		r := crashRing(t, One)
		r.header.members[0].ticket.Store(deadTicket)
		for u := uint64(1); u < r.capacity/unit; u++ {
			pos := r.capacity + u*unit
			r.state(pos).Store(r.word(pos, 1, 0, committed))
		}
		p, err := r.JoinProducer()
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.JoinConsumer()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			batch := [][]byte{make([]byte, size), make([]byte, i)}
			if _, err := p.SendBatch(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			for _, want := range batch {
				if msg, ok, err := c.TryReceive(); len(msg) != len(want) || !ok || err != nil {
					t.Fatalf("size %d, batch %d: %d bytes, %v, %v, want %d", size, i, len(msg), ok, err, len(want))
				}
			}
			if msg, ok, err := c.TryReceive(); ok || err != nil {
				t.Fatalf("size %d, after batch %d: received %q, %v", size, i, msg, err)
			}
		}
	}
}

// TestStaleClaim uses claims that have ended while another one is open at the same
// position.
func TestStaleClaim(t *testing.T) {
	for _, kind := range []Producers{One, Many} {
		r := crashRing(t, kind)
		p, err := r.JoinProducer()
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.JoinConsumer()
		if err != nil {
			t.Fatal(err)
		}
		old, _, _ := p.TryClaim(10)
		if err := old.Abort(); err != nil {
			t.Fatal(err)
		}
		next, ok, err := p.TryClaim(10)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for name, err := range map[string]error{"Commit": old.Commit(), "CommitN": old.CommitN(1), "Abort": old.Abort(), "zero": Claim{}.Commit()} {
			if !errors.Is(err, ErrClaim) {
				t.Errorf("%s of a claim that is over: %v, want ErrClaim", name, err)
			}
		}
		if old.Bytes() != nil {
			t.Error("a claim that is over has memory")
		}
		if msg, ok, err := c.TryReceive(); ok || err != nil {
			t.Errorf("received %q, %v", msg, err)
		}
		copy(next.Bytes(), "0123456789")
		if err := next.Commit(); err != nil {
			t.Error(err)
		}
		if msg, err := receive(t, c); msg != "0123456789" || err != nil {
			t.Errorf("received %q, %v", msg, err)
		}
	}
}

// TestDoneContext passes a done context to every call that takes one. The call fails, even
// if it need not wait.
func TestDoneContext(t *testing.T) {
	for _, kind := range []Producers{One, Many} {
		r := crashRing(t, kind)
		p, err := r.JoinProducer()
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.JoinConsumer()
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			if err := p.Send(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, call := range map[string]func() error{
			"Claim":              func() error { _, err := p.Claim(ctx, 1); return err },
			"Send":               func() error { return p.Send(ctx, nil) },
			"SendBatch":          func() error { _, err := p.SendBatch(ctx, [][]byte{{1}}); return err },
			"SendBatch, none":    func() error { _, err := p.SendBatch(ctx, nil); return err },
			"Flush":              func() error { return p.Flush(ctx) },
			"Writer.Write":       func() error { _, err := p.Writer(ctx).Write([]byte{1}); return err },
			"Writer.ReadFrom":    func() error { _, err := p.Writer(ctx).ReadFrom(endless{}); return err },
			"Receive":            func() error { _, err := c.Receive(ctx); return err },
			"ReceiveBatch":       func() error { _, err := c.ReceiveBatch(ctx, make([][]byte, 1)); return err },
			"ReceiveBatch, none": func() error { _, err := c.ReceiveBatch(ctx, nil); return err },
			"Reader.Read":        func() error { _, err := c.Reader(ctx).Read(make([]byte, 1)); return err },
			"Reader.WriteTo":     func() error { _, err := c.Reader(ctx).WriteTo(io.Discard); return err },
			"Messages": func() error {
				for _, err := range c.Messages(ctx) {
					return err
				}
				return nil
			},
		} {
			if err := call(); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want context.Canceled", name, err)
			}
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A readerFunc is a function that implements io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestReadFromLeavesNoClaim ends a ReadFrom with bad readers of all kinds. Another
// producer's message must get through.
func TestReadFromLeavesNoClaim(t *testing.T) {
	for name, read := range map[string]readerFunc{
		"panics":             func([]byte) (int, error) { panic("reader") },
		"ends its goroutine": func([]byte) (int, error) { runtime.Goexit(); return 0, nil },
		"boasts":             func(p []byte) (int, error) { return len(p) + 1, nil },
		"counts below zero":  func([]byte) (int, error) { return -1, nil },
		"fails":              func([]byte) (int, error) { return 0, errors.New("broken") },
	} {
		r := crashRing(t, Many)
		p, err := r.JoinProducer()
		if err != nil {
			t.Fatal(err)
		}
		other, err := r.JoinProducer()
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.JoinConsumer()
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			defer func() { _ = recover() }()
			if n, err := p.Writer(t.Context()).ReadFrom(read); n != 0 || err == nil {
				t.Errorf("a reader that %s: ReadFrom = %d, %v", name, n, err)
			}
		}()
		<-over
		if err := other.Send(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if msg, err := receive(t, c); msg != "x" || err != nil {
			t.Errorf("after a reader that %s: received %q, %v", name, msg, err)
		}
	}
}

// TestReadFromWrappedEOF distinguishes a failure that wraps io.EOF from the end.
func TestReadFromWrappedEOF(t *testing.T) {
	r := crashRing(t, One)
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	failure := fmt.Errorf("record 7: %w", io.EOF)
	if _, err := p.Writer(t.Context()).ReadFrom(readerFunc(func([]byte) (int, error) { return 0, failure })); err != failure {
		t.Errorf("ReadFrom = %v, want %v", err, failure)
	}
	if _, err := p.Writer(t.Context()).ReadFrom(readerFunc(func([]byte) (int, error) { return 0, io.EOF })); err != nil {
		t.Errorf("ReadFrom = %v at the end", err)
	}
}

// TestTryLearnsOfDeath checks that a side that never waits notices the death of the other.
func TestTryLearnsOfDeath(t *testing.T) {
	for _, kind := range []Producers{One, Many} {
		r := crashRing(t, kind)
		p, err := r.JoinProducer()
		if err != nil {
			t.Fatal(err)
		}
		r.consumer().ticket.Store(deadTicket)
		for ok := true; ok; {
			if _, ok, err = p.TryClaim(p.ring.MaxMessage()); ok {
				err = p.publish(uint64(p.ring.MaxMessage()))
			}
			if err != nil {
				break
			}
		}
		for range 2 {
			if !errors.Is(err, ErrPeerDied) {
				t.Errorf("TryClaim in a full ring = %v, want ErrPeerDied", err)
			}
			_, _, err = p.TryClaim(p.ring.MaxMessage())
		}
	}
	r := crashRing(t, Many)
	r.header.members[5].ticket.Store(deadTicket)
	r.state(r.capacity).Store(r.word(r.capacity, 100, 5, claimed))
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := c.TryReceive(); ok || !errors.Is(err, ErrPeerDied) {
		t.Errorf("TryReceive = %v, %v, want ErrPeerDied", ok, err)
	}
}

// TestStaleTail checks that a producer that was stopped after it had loaded tail makes no
// claim there, even if the consumer has meanwhile swept the state word there.
func TestStaleTail(t *testing.T) {
	words := make([]uint64, Size(minCapacity)/8)
	ring, err := Create(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8), &Options{Producers: Many})
	if err != nil {
		t.Fatal(err)
	}
	stopped, err1 := ring.JoinProducer()
	other, err2 := ring.JoinProducer()
	c, err3 := ring.JoinConsumer()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for n := range 3 * minCapacity / unit { // through the laps with sweeps, and one without
		tail := ring.header.tail.Load()
		if err := other.Send(t.Context(), []byte("other")); err != nil {
			t.Fatal(err)
		}
		if msg, err := c.Receive(t.Context()); string(msg) != "other" || err != nil {
			t.Fatal(msg, err)
		}
		c.Release()
		if got, err := stopped.claimAt(tail, 8); got != overtaken || err != nil || stopped.claim != 0 {
			t.Fatalf("message %d: claimAt(%d) = %d, %v with tail %d; want overtaken", n, tail, got, err, ring.header.tail.Load())
		}
	}
	if err := errors.Join(stopped.Close(), other.Close(), c.Close(), ring.Close()); err != nil {
		t.Fatal(err)
	}
}
