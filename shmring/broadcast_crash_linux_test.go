package shmring

import (
	"context"
	"errors"
	"testing"
	"unsafe"

	"github.com/sysvipc/gipc/posix"
)

// TestBroadcastLayout compares offsets with docs/broadcast.md.
func TestBroadcastLayout(t *testing.T) {
	var h broadcastHeader
	var r reader
	var c cellHeader
	for name, at := range map[string][2]uintptr{
		"published":     {unsafe.Offsetof(h.published), 128},
		"floor":         {unsafe.Offsetof(h.floor), 256},
		"readers sleep": {unsafe.Offsetof(h.readersSleep), 384},
		"writer sleeps": {unsafe.Offsetof(h.writerSleeps), 512},
		"wanted":        {unsafe.Offsetof(h.wanted), 520},
		"joins":         {unsafe.Offsetof(h.joins), 640},
		"tickets":       {unsafe.Offsetof(h.tickets), 648},
		"blocking":      {unsafe.Offsetof(h.blocking), 656},
		"sessions":      {unsafe.Offsetof(h.sessions), 664},
		"deaths":        {unsafe.Offsetof(h.deaths), 668},
		"members":       {unsafe.Offsetof(h.members), 1024},
		"index":         {indexOffset, 12288},
		"next":          {unsafe.Offsetof(r.next), 0},
		"lost":          {unsafe.Offsetof(r.lost), 8},
		"policy":        {unsafe.Offsetof(r.policy), 16},
		"label":         {unsafe.Offsetof(r.label), 24},
		"stored":        {unsafe.Offsetof(c.stored), 128},
		"sleep":         {unsafe.Offsetof(c.sleep), 384},
		"lock":          {unsafe.Offsetof(c.lock), 640},
		"cell's schema": {unsafe.Offsetof(c.schema), 3104},
		"ring's schema": {unsafe.Offsetof(header{}.schema), 3104},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is at %d, want %d", name, at[0], at[1])
		}
	}
	if at := broadcastData(1 << 20); at != 12288+1<<20/16 {
		t.Errorf("the data of a broadcast of 1 MiB begins at %d", at)
	}
}

func crashBroadcast(t *testing.T) *Broadcast {
	t.Helper()
	m, err := posix.MapAnonymous(BroadcastSize(minCapacity), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := CreateBroadcastIn(m, minCapacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(b.Close(), m.Unmap()) })
	return b
}

// TestBroadcastCrashWindows recreates the memory as a death at each critical moment leaves
// it.
func TestBroadcastCrashWindows(t *testing.T) {
	const slot = 5
	for name, crash := range map[string]func(b *Broadcast){
		"the writer, before it was counted": func(b *Broadcast) { b.members[writerRole].ticket.Store(deadTicket) },
		"the writer, in a message": func(b *Broadcast) {
			b.members[writerRole].ticket.Store(deadTicket)
			b.header.sessions.Add(1)
			b.header.floor.Store(1)
			b.entry(3).position.Store(3 * unit)
			b.entry(3).length.Store(7)
			clear(b.data)
		},
		"a reader, before it wrote anything": func(b *Broadcast) { b.members[slot].ticket.Store(deadTicket) },
		"a reader that blocks": func(b *Broadcast) {
			b.members[slot].ticket.Store(deadTicket)
			b.header.blocking.Or(1 << slot)
		},
		"a reader that left": func(b *Broadcast) { b.header.blocking.Or(1 << slot) },
	} {
		t.Run(name, func(t *testing.T) {
			b := crashBroadcast(t)
			w, err := b.JoinWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := w.Send(t.Context(), []byte("before")); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			crash(b)
			testAfterCrash(t, b)
		})
	}
}

func testAfterCrash(t *testing.T, b *Broadcast) {
	w, err := b.JoinWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Subscribe(Block, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.Published() != 3 || s.Next() != 3 {
		t.Errorf("%d messages, the next is %d; want 3 and 3", w.Published(), s.Next())
	}
	for range 100 { // more messages than fit
		if err := w.Send(t.Context(), []byte("after")); err != nil {
			t.Fatal(err)
		}
		if msg, err := s.Receive(t.Context()); string(msg) != "after" || err != nil {
			t.Fatalf("received %q, %v", msg, err)
		}
	}
	for range readerCount - 1 { // the role of a dead reader is free
		if _, err := b.Subscribe(Latest, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), w.Close()); err != nil {
		t.Error(err)
	}
}

// TestBroadcastCorrupt writes invalid words into the memory. Readers get ErrCorrupt.
func TestBroadcastCorrupt(t *testing.T) {
	for name, spoil := range map[string]func(b *Broadcast, s *Subscription){
		"published goes back":    func(b *Broadcast, s *Subscription) { b.header.published.Store(s.next - 1) },
		"published jumps":        func(b *Broadcast, s *Subscription) { b.header.published.Store(s.next + 1000) },
		"position not at a unit": func(b *Broadcast, s *Subscription) { b.entry(s.next).position.Store(1) },
		"length beyond the most": func(b *Broadcast, s *Subscription) { b.entry(s.next).length.Store(b.capacity/2 + 1) },
		"message beyond the end": func(b *Broadcast, s *Subscription) {
			b.entry(s.next).position.Store(b.capacity - unit)
			b.entry(s.next).length.Store(unit + 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := crashBroadcast(t)
			w, err := b.JoinWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := b.Subscribe(Block, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Send(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			spoil(b, s)
			for range 2 {
				if msg, err := s.Receive(t.Context()); !errors.Is(err, ErrCorrupt) {
					t.Errorf("Receive = %q, %v, want ErrCorrupt", msg, err)
				}
				if err := s.View(context.Background(), func([]byte) error { return nil }); !errors.Is(err, ErrCorrupt) {
					t.Errorf("View = %v, want ErrCorrupt", err)
				}
			}
		})
	}
}
