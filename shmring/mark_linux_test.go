package shmring

import (
	"context"
	"errors"
	"testing"
	"unsafe"
)

// TestMarkLayout compares offsets with docs/ring.md and docs/broadcast.md.
func TestMarkLayout(t *testing.T) {
	var s markSlot
	for name, at := range map[string][2]uintptr{
		"marks of a ring":      {unsafe.Offsetof(header{}.marks), 768},
		"marks of a broadcast": {unsafe.Offsetof(broadcastHeader{}.marks), 768},
		"the second mark":      {unsafe.Sizeof(s), 64},
		"the mark":             {unsafe.Offsetof(s.words), 8},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is at %d, want %d", name, at[0], at[1])
		}
	}
}

// A marker is a producer or a writer.
type marker interface {
	Send(context.Context, []byte) error
	Mark() (Mark, bool, error)
	Close() error
}

// A marked sends with a mark, and a mark's slots show what a death leaves.
type marked struct {
	name  string
	marks *marks
	join  func() (marker, error)
	send  func(m marker, mark Mark) error
	step  uint64 // how much a message adds to since
}

func markeds(t *testing.T) []marked {
	t.Helper()
	r, b := crashRing(t, One), crashBroadcast(t)
	return []marked{
		{
			"ring", &r.header.marks, func() (marker, error) { return r.JoinProducer() },
			func(m marker, mark Mark) error {
				return m.(*Producer).SendMarked(context.Background(), [][]byte{{1}}, mark)
			}, unit,
		},
		{
			"broadcast", &b.header.marks, func() (marker, error) { return b.JoinWriter(nil) },
			func(m marker, mark Mark) error {
				return m.(*BroadcastWriter).SendMarked(context.Background(), []byte{1}, mark)
			}, 1,
		},
	}
}

func wantMark(t *testing.T, m marker, want Mark, wantOK bool) {
	t.Helper()
	if got, ok, err := m.Mark(); err != nil || ok != wantOK || got != want {
		t.Errorf("Mark = %v, %t, %v, want %v, %t", got, ok, err, want, wantOK)
	}
}

// TestMarkCrash recreates what a producer leaves that dies after it wrote a mark, and
// before it committed the messages. The next one commits messages of its own, which end
// where those would have ended.
func TestMarkCrash(t *testing.T) {
	for _, k := range markeds(t) {
		t.Run(k.name, func(t *testing.T) {
			m := rejoin(t, k, nil)
			wantMark(t, m, Mark{}, false)
			for i := range byte(3) {
				if err := k.send(m, Mark{'a', i}); err != nil {
					t.Fatal(err)
				}
			}
			wantMark(t, m, Mark{'a', 2}, true)
			m = rejoin(t, k, m)
			wantMark(t, m, Mark{'a', 2}, true)

			last := k.marks.resume(^uint64(0))
			since := k.marks[last].since.Load()
			k.marks.write(last, since+k.step, Mark{'b'})
			m = rejoin(t, k, m)
			wantMark(t, m, Mark{'a', 2}, true)
			if err := m.Send(context.Background(), []byte{2}); err != nil {
				t.Fatal(err)
			}
			m = rejoin(t, k, m)
			wantMark(t, m, Mark{'a', 2}, true)
			if err := k.send(m, Mark{'c'}); err != nil {
				t.Fatal(err)
			}
			m = rejoin(t, k, m)
			wantMark(t, m, Mark{'c'}, true)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.Mark(); !errors.Is(err, ErrClosed) {
				t.Errorf("Mark of a closed producer = %v", err)
			}
		})
	}
}

// rejoin closes the old producer, if there is one, and joins another.
func rejoin(t *testing.T, k marked, old marker) marker {
	t.Helper()
	if old != nil {
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m, err := k.join()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSendMarkedErrors(t *testing.T) {
	ctx := context.Background()
	many, err := crashRing(t, Many).JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	if err := many.SendMarked(ctx, [][]byte{{1}}, Mark{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("in a ring for Many: %v", err)
	}
	r := crashRing(t, One)
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SendMarked(ctx, nil, Mark{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without a message: %v", err)
	}
	half := make([][]byte, r.MaxMessage()/unit)
	if err := p.SendMarked(ctx, append(half, nil), Mark{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than half the ring: %v", err)
	}
	if err := p.SendMarked(ctx, half, Mark{1}); err != nil {
		t.Errorf("half the ring: %v", err)
	}
	wantMark(t, p, Mark{1}, true)
}

// TestTryReceiveMore keeps messages, releases some of them, and leaves the others to the
// next consumer.
func TestTryReceiveMore(t *testing.T) {
	for _, kind := range []Producers{One, Many} {
		t.Run(kind.String(), func(t *testing.T) {
			r := crashRing(t, kind)
			p, err := r.JoinProducer()
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"a", "b", "c", "d"} {
				if err := p.Send(context.Background(), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			c, err := r.JoinConsumer()
			if err != nil {
				t.Fatal(err)
			}
			start, held, ends := c.Position(), "", []uint64{}
			var msgs [][]byte
			for msg, ok, err := c.TryReceiveMore(); ok || err != nil; msg, ok, err = c.TryReceiveMore() {
				if err != nil {
					t.Fatal(err)
				}
				msgs, ends = append(msgs, msg), append(ends, c.Position())
			}
			for _, msg := range msgs {
				held += string(msg)
			}
			if held != "abcd" || ends[0] != start+unit || ends[3] != start+4*unit {
				t.Fatalf("received %q up to %d, from %d", held, ends, start)
			}
			if at, err := r.Positions(); err != nil || at.Head != start {
				t.Errorf("Positions = %+v, %v: the messages are released", at, err)
			}
			for _, bad := range []uint64{ends[3] + unit, ends[0] + 1} {
				if err := c.ReleaseTo(bad); err == nil {
					t.Errorf("ReleaseTo(%d) succeeds", bad)
				}
			}
			for _, to := range []uint64{ends[1], ends[0]} { // the second does nothing
				if err := c.ReleaseTo(to); err != nil {
					t.Error(err)
				}
				if at, err := r.Positions(); err != nil || at.Head != ends[1] {
					t.Errorf("Positions = %+v, %v, want %d released", at, err, ends[1])
				}
			}
			c.Rewind()
			if msg, ok, err := c.TryReceiveMore(); string(msg) != "c" || !ok || err != nil {
				t.Errorf("after Rewind it receives %q, %t, %v", msg, ok, err)
			}
			c.Rewind()
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			next, err := r.JoinConsumer()
			if err != nil {
				t.Fatal(err)
			}
			msg, ok, err := next.TryReceiveMore()
			if string(msg) != "c" || !ok || err != nil {
				t.Errorf("the next consumer receives %q, %t, %v", msg, ok, err)
			}
		})
	}
}
