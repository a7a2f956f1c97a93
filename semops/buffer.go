package semops

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sysvipc/gipc/sysv"
)

// A Buffer keeps the books of a bounded buffer: a ring of slots in memory that its
// users share, filled by any number of producers and emptied by any number of
// consumers, processes or goroutines, in the same order. It knows nothing of the
// memory; it says who may use which slot.
//
//	err := buf.Put(ctx, func(slot int) error { copy(memory[slot], message); return nil })
//	err := buf.Take(ctx, func(slot int) error { return handle(memory[slot]) })
//
// One producer and one consumer at a time are at work, on different slots.
//
// Whoever is killed at work, or fails, has done nothing: a producer's slot is
// filled anew by the next Put, and nobody sees what was written there before; a
// consumer's message is still there for the next Take. No message is lost, and
// none is seen half written. A message is seen twice if a consumer was killed or
// failed after it had used it: where that must not be, copy the message out, and
// use it after Take has returned; then it is lost with a consumer that dies.
//
// Cost: six semaphores. Put and Take are two system calls each where they need not
// wait and the same process put, or took, the message before; otherwise four. A
// wait occupies one thread.
//
// States. Free and full slots are counted by a semaphore each. Each side has a lock
// and an index, the slot that is next. Put takes a free slot and its lock in one
// semop, to be undone; a second one cancels the undo, unlocks, adds a full slot and
// moves the index on. Take does the same with full and free exchanged. So every
// slot is free, full, or claimed by the side whose lock is taken.
type Buffer struct {
	set        sysv.Set
	slots      int
	put, taken side
	order
}

// A side is the producers' or the consumers' end.
type side struct {
	from, to    uint16 // counts of slots before and after this side's work
	lock, index uint16
	next        atomic.Int32 // the index, unless another process was here
	wait        waiter
}

// BufferValues returns the initial values of the semaphores of a buffer of slots, 1
// to 32767, all of them free.
func BufferValues(slots int) []uint16 { return []uint16{uint16(slots), 0, 1, 0, 1, 0} }

// NewBuffer returns the books of the buffer of slots, 1 to 32767, that are kept in
// six semaphores of set, from first on, which must have got BufferValues once, for the
// same number of slots: another one is sysv.ErrMismatch. It needs permission to read and to
// alter the set.
func NewBuffer(set sysv.Set, first, slots int) (*Buffer, error) {
	if slots < 1 || slots > maxValue {
		return nil, fmt.Errorf("buffer of %d slots: want 1 to %d", slots, maxValue)
	}
	n, err := semaphores(set, "buffer", first, 6)
	if err == nil {
		err = initialized(set, "buffer", n)
	}
	if err != nil {
		return nil, err
	}
	free, full := n, n+1
	b := &Buffer{
		set: set, slots: slots,
		put:   side{from: free, to: full, lock: n + 2, index: n + 3},
		taken: side{from: full, to: free, lock: n + 4, index: n + 5},
	}
	made, err := b.countSlots()
	if err == nil && made != slots {
		err = mismatch(set, "buffer", made, "slots", slots)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// countSlots returns how many slots there are: GETALL reads all semaphores at one moment.
func (b *Buffer) countSlots() (int, error) {
	values, err := b.set.Values()
	if err != nil {
		return 0, err
	}
	claimed := func(s *side) int { return 1 - int(values[s.lock]) }
	return int(values[b.put.from]) + int(values[b.put.to]) + claimed(&b.put) + claimed(&b.taken), nil
}

// Put waits for a free slot and for its turn among the producers, or until ctx is
// done, and calls fill. The slot counts as full when fill returns nil; if it returns
// an error, which Put passes on, or panics, the slot is free as before.
func (b *Buffer) Put(ctx context.Context, fill func(slot int) error) error {
	return b.step(ctx, &b.put, fill)
}

// Take waits for a full slot and for its turn among the consumers, or until ctx is
// done, and calls use. The slot counts as free when use returns nil; if it returns an
// error, which Take passes on, or panics, the message stays the next one.
func (b *Buffer) Take(ctx context.Context, use func(slot int) error) error {
	return b.step(ctx, &b.taken, use)
}

// TryPut is Put if that need not wait, and tells whether it called fill.
func (b *Buffer) TryPut(fill func(slot int) error) (bool, error) { return b.try(&b.put, fill) }

// TryTake is Take if that need not wait, and tells whether it called use.
func (b *Buffer) TryTake(use func(slot int) error) (bool, error) { return b.try(&b.taken, use) }

// Len returns the number of messages that wait to be taken, which may be another
// one already.
func (b *Buffer) Len() (int, error) { return b.set.Value(int(b.put.to)) }

func (b *Buffer) step(ctx context.Context, s *side, work func(slot int) error) error {
	if err := done(ctx, b.set); err != nil {
		return err
	}
	slot, ok, err := b.guess(s)
	if !ok && err == nil {
		err = s.wait.do(ctx, b.set, addUndo(s.from, -1), addUndo(s.lock, -1))
		if err == nil {
			slot, err = b.slot(s)
		}
	}
	if err != nil {
		return err
	}
	return b.work(s, slot, work)
}

func (b *Buffer) try(s *side, work func(slot int) error) (bool, error) {
	slot, ok, err := b.guess(s)
	if !ok && err == nil {
		ok, err = b.set.TryDo(addUndo(s.from, -1), addUndo(s.lock, -1))
		if ok {
			slot, err = b.slot(s)
		}
	}
	if !ok || err != nil {
		return false, err
	}
	return true, b.work(s, slot, work)
}

// guess claims the slot that would be next if nobody else was here.
func (b *Buffer) guess(s *side) (slot int, ok bool, err error) {
	next := int16(s.next.Load())
	ok, err = b.set.TryDo(addUndo(s.from, -1), addUndo(s.lock, -1),
		add(s.index, -next), isZero(s.index), add(s.index, next))
	return int(next), ok, err
}

// slot returns which slot the caller has claimed.
func (b *Buffer) slot(s *side) (int, error) {
	slot, err := b.set.Value(int(s.index))
	if err == nil && slot >= b.slots {
		err = fmt.Errorf("buffer in sem:%d: slot %d is next, but there are %d slots", int(b.set), slot, b.slots)
	}
	if err != nil {
		_ = b.giveBack(s) // no error but that the set is gone
	}
	return slot, err
}

// work calls f with a slot that was claimed.
func (b *Buffer) work(s *side, slot int, f func(slot int) error) error {
	b.acquire()
	over := false
	defer func() {
		if !over { // f panics
			_ = b.giveBack(s)
		}
	}()
	err := f(slot)
	over = true
	if err != nil {
		_ = b.giveBack(s)
		return err
	}
	return b.pass(s, slot)
}

// giveBack undoes a claim.
func (b *Buffer) giveBack(s *side) error {
	b.release()
	_, err := b.set.TryDo(isZero(s.lock), addUndo(s.lock, 1), addUndo(s.from, 1))
	return err
}

// pass hands a slot to the other side. The undo of the claim is cancelled by adding
// with undo and subtracting without.
func (b *Buffer) pass(s *side, slot int) error {
	next := slot + 1
	if next == b.slots {
		next = 0
	}
	s.next.Store(int32(next))
	b.release()
	ok, err := b.set.TryDo(isZero(s.lock), addUndo(s.lock, 1),
		addUndo(s.from, 1), add(s.from, -1), add(s.to, 1),
		add(s.index, int16(next-slot)))
	if err == nil && !ok {
		err = ErrNotHeld // somebody has given the semaphores other values
	}
	return err
}
