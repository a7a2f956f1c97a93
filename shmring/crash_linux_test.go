package shmring

import (
	"context"
	"errors"
	"io"
	"testing"
	"unsafe"
)

// The windows in which a producer can die are too short for a kill to hit them often. These
// tests recreate the memory as a death in each window leaves it.

// deadTicket is the ticket of a process that no longer holds a lock.
const deadTicket = 1 << 40

func crashRing(t *testing.T, kind Producers) *Ring {
	t.Helper()
	words := make([]uint64, Size(minCapacity)/8)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	r, err := Create(mem, &Options{Producers: kind})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// receive returns the next message, or the error if there is none.
func receive(t *testing.T, c *Consumer) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*tick)
	defer cancel()
	msg, err := c.Receive(ctx)
	return string(msg), err
}

func TestCrashWindows(t *testing.T) {
	const slot = 5
	for _, tt := range []struct {
		name  string
		kind  Producers
		crash func(r *Ring) // what the dead producer has done
		after bool          // whether another producer sends a message afterwards
		want  []string
		err   error
	}{
		{"slot taken, not counted yet", Many, func(r *Ring) {
			r.header.members[slot].ticket.Store(deadTicket)
		}, false, nil, ErrPeerDied},
		{"claimed, tail not moved", Many, func(r *Ring) {
			r.header.members[slot].ticket.Store(deadTicket)
			r.state(r.capacity).Store(r.word(r.capacity, 100, slot, claimed))
		}, true, []string{"after"}, ErrPeerDied},
		{"claimed, tail not moved, no other", Many, func(r *Ring) {
			r.header.members[slot].ticket.Store(deadTicket)
			r.state(r.capacity).Store(r.word(r.capacity, 100, slot, claimed))
		}, false, nil, ErrPeerDied},
		{"committed, tail not moved", Many, func(r *Ring) {
			r.header.members[slot].ticket.Store(deadTicket)
			copy(r.data, "before")
			r.state(r.capacity).Store(r.word(r.capacity, 6, slot, committed))
		}, true, []string{"before", "after"}, ErrPeerDied},
		{"claimed as a batch, all but the first written", Many, func(r *Ring) {
			r.header.members[slot].ticket.Store(deadTicket)
			r.state(r.capacity).Store(r.word(r.capacity, 3*unit, slot, claimed))
			r.header.tail.Store(r.capacity + 3*unit)
			r.state(r.capacity + unit).Store(r.word(r.capacity+unit, 1, slot, committed))
			r.state(r.capacity + 2*unit).Store(r.word(r.capacity+2*unit, 1, slot, committed))
		}, true, []string{"after"}, ErrPeerDied},
		{"padding written, tail not moved", Many, func(r *Ring) {
			r.header.head.Store(2*r.capacity - unit)
			r.header.tail.Store(2*r.capacity - unit)
			r.header.members[slot].ticket.Store(deadTicket)
			r.state(2*r.capacity - unit).Store(r.word(2*r.capacity-unit, unit, slot, skipped))
		}, true, []string{"after"}, ErrPeerDied},
		{"claimed, and who took the slot over died too", Many, func(r *Ring) {
			r.header.members[slot].ticket.Store(deadTicket)
			r.header.deaths.Add(1)
			r.state(r.capacity).Store(r.word(r.capacity, 100, slot, claimed))
		}, true, []string{"after"}, ErrPeerDied},
		{"batch, all but the first written", One, func(r *Ring) {
			r.header.members[0].ticket.Store(deadTicket)
			for i := uint64(1); i < 6; i++ {
				r.state(r.capacity + i*unit).Store(r.word(r.capacity+i*unit, 1, 0, committed))
			}
		}, true, []string{"after"}, ErrPeerDied},
		{"padding written", One, func(r *Ring) {
			r.header.head.Store(2*r.capacity - unit)
			r.header.members[0].ticket.Store(deadTicket)
			r.state(2*r.capacity - unit).Store(r.word(2*r.capacity-unit, unit, 0, skipped))
		}, true, []string{"after"}, ErrPeerDied},
		{"committed two", One, func(r *Ring) {
			r.header.members[0].ticket.Store(deadTicket)
			copy(r.data, "a")
			copy(r.data[unit:], "b")
			r.state(r.capacity).Store(r.word(r.capacity, 1, 0, committed))
			r.state(r.capacity + unit).Store(r.word(r.capacity+unit, 1, 0, committed))
		}, true, []string{"a", "b", "after"}, ErrPeerDied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // each of them waits for a message that does not come
			r := crashRing(t, tt.kind)
			tt.crash(r)
			if tt.after {
				p, err := r.JoinProducer()
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Send(context.Background(), []byte("after")); err != nil {
					t.Fatal(err)
				}
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
			c, err := r.JoinConsumer()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if got, err := receive(t, c); got != want || err != nil {
					t.Errorf("received %q, %v, want %q", got, err, want)
				}
			}
			if got, err := receive(t, c); !errors.Is(err, tt.err) {
				t.Errorf("received %q, %v at the end, want %v", got, err, tt.err)
			}
			if got, err := receive(t, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("received %q, %v after the end, want nothing", got, err)
			}
		})
	}
}

// TestFullTable lets a producer join when every slot belongs to a dead producer with a
// claim.
func TestFullTable(t *testing.T) {
	r := crashRing(t, Many)
	pos := r.capacity
	for i := range slotCount {
		r.header.members[i].ticket.Store(deadTicket)
		r.state(pos).Store(r.word(pos, 1, i, claimed))
		pos += unit
	}
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	if full, err := p.reserve(1); full || err != nil {
		t.Fatalf("a claim in a ring full of dead claims: %v, %v", full, err)
	}
	c.ReapProducers()
	if _, ok, err := c.TryReceive(); ok || err != nil {
		t.Errorf("TryReceive = %v, %v", ok, err)
	}
	if err := p.Send(context.Background(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := receive(t, c); got != "x" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if n := r.header.deaths.Load(); n != slotCount {
		t.Errorf("%d deaths counted, want %d", n, slotCount)
	}
}

func TestCorrupt(t *testing.T) {
	r := crashRing(t, Many)
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	at := 3*r.capacity + unit // not at the beginning, where every length would fit
	for _, tt := range []struct {
		name  string
		spoil func()
		use   func() error
	}{
		{"record beyond the end", func() { r.state(at).Store(r.word(at, r.capacity-1, 0, committed)) }, nil},
		{"record of a later lap", func() { r.state(at).Store(r.word(at+r.capacity, 5, 0, committed)) }, nil},
		{"claim of an empty slot", func() { r.state(at).Store(r.word(at, 5, 33, claimed)) }, nil},
		{"record at the tail beyond the end", func() { r.state(at).Store(r.word(at, r.capacity-1, 0, committed)) }, func() error {
			_, _, err := p.TryClaim(1)
			return err
		}},
		{"tail not at a unit", func() { r.header.tail.Store(at + 1) }, func() error { _, _, err := p.TryClaim(1); return err }},
		{"tail far away", func() { r.header.tail.Store(at + 1<<40) }, func() error { _, _, err := p.TryClaim(1); return err }},
		{"tail a lap behind", func() {
			r.state(at).Store(r.word(at+r.capacity, 5, 0, committed))
		}, func() error {
			_, _, err := p.TryClaim(1)
			if w := r.state(at).Load(); w != r.word(at+r.capacity, 5, 0, committed) {
				t.Errorf("a record of a later lap was overwritten with %#x", w)
			}
			return err
		}},
		{"tail behind", func() { r.header.tail.Store(at - 4*unit) }, func() error {
			p.head = at
			_, _, err := p.TryClaim(1)
			return err
		}},
		{"head not at a unit", func() { r.header.head.Store(at + 1); p.head = 0 }, func() error { _, _, err := p.TryClaim(1); return err }},
		{"claim taken away", func() { r.state(at).Store(0) }, func() error {
			claim, ok, err := p.TryClaim(1)
			if !ok || err != nil {
				t.Errorf("TryClaim = %v, %v", ok, err)
			}
			r.state(at).Store(0)
			return claim.Commit()
		}},
		{"claim taken away before Abort", func() {}, func() error {
			claim, ok, err := p.TryClaim(1)
			if !ok || err != nil {
				t.Errorf("TryClaim = %v, %v", ok, err)
			}
			r.state(at).Store(0)
			return claim.Abort()
		}},
	} {
		use := tt.use
		if use == nil {
			use = func() error { _, _, err := c.TryReceive(); return err }
			c.next, c.free = at, at
		}
		r.header.tail.Store(at)
		r.header.head.Store(at)
		r.state(at).Store(0)
		p.head, p.claim = at, 0
		tt.spoil()
		if err := use(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", tt.name, err)
		}
	}
}

// TestLateCommit lets a producer commit and leave between the consumer's check for a
// message and its check for producers. The consumer must not report the end then.
func TestLateCommit(t *testing.T) {
	r := crashRing(t, One)
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(context.Background(), []byte("late")); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.end(); err != nil {
		t.Errorf("end = %v with a message in the ring", err)
	}
	if got, err := receive(t, c); got != "late" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if got, err := receive(t, c); !errors.Is(err, io.EOF) {
		t.Errorf("received %q, %v, want io.EOF", got, err)
	}
}
