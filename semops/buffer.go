package semops

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/order"
	"github.com/sysvipc/gipc/sysv"
)

// A Buffer controls access to a bounded buffer: a ring of slots in memory that its users
// share. Any number of producers fill slots and any number of consumers empty them, in the
// same order. Each may be a process or a goroutine. A Buffer does not touch the memory; it
// says who may use which slot.
//
//	err := buf.Put(ctx, func(slot int) error { copy(memory[slot], message); return nil })
//	err := buf.Take(ctx, func(slot int) error { return handle(memory[slot]) })
//
// At any time, at most one producer and one consumer work, on different slots.
//
// Work that fails, or whose process is killed, has no effect. The next Put refills the
// slot of such a producer, and nobody sees its earlier contents. The next Take gets the
// message of such a consumer. So no message is lost or seen half written, but a message is
// seen twice if a consumer failed or died after using it. To avoid this, copy the message
// and use the copy after Take has returned; it is then lost if the consumer dies.
//
// Cost: six semaphores. Put and Take are two system calls each if they need not wait and
// the same process was the last to put, or to take; otherwise four. A wait occupies one
// thread.
//
// States. One semaphore counts free slots, and one counts full slots. Each side has a lock
// and an index, which is the next slot. Put takes a free slot and its side's lock in one
// semop, with undo. A second semop cancels the undo, unlocks, adds a full slot and
// advances the index. Take does the same, with full and free exchanged. So every slot is
// free, full, or claimed by the side whose lock is taken.
type Buffer struct {
	set        sysv.Set
	slots      int
	put, taken side
	order      order.Edge
}

// A side is the producers' or the consumers' end of a buffer.
type side struct {
	from, to    uint16 // counts of slots before and after this side's work
	lock, index uint16
	next        atomic.Int32 // the index, unless another process has moved it
	wait        waiter
}

// BufferValues returns the initial values of a buffer's semaphores, for 1 to 32767 slots,
// all free.
func BufferValues(slots int) []uint16 { return []uint16{uint16(slots), 0, 1, 0, 1, 0} }

// NewBuffer returns the buffer in six semaphores of set, starting with semaphore first.
// They must have been initialised once with BufferValues. slots, 1 to 32767, must be the
// same as then; otherwise the error is sysv.ErrMismatch. NewBuffer needs read and write
// permission for the set.
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

// countSlots returns the number of slots. GETALL reads all semaphores atomically.
func (b *Buffer) countSlots() (int, error) {
	values, err := b.set.Values()
	if err != nil {
		return 0, err
	}
	claimed := func(s *side) int { return 1 - int(values[s.lock]) }
	return int(values[b.put.from]) + int(values[b.put.to]) + claimed(&b.put) + claimed(&b.taken), nil
}

// Put blocks until a slot is free and no other producer works, or until ctx is done. Then
// it calls fill. If fill returns nil, the slot is full. If fill returns an error, which
// Put returns, or panics, the slot stays free.
func (b *Buffer) Put(ctx context.Context, fill func(slot int) error) error {
	return b.step(ctx, &b.put, fill)
}

// Take blocks until a slot is full and no other consumer works, or until ctx is done. Then
// it calls use. If use returns nil, the slot is free. If use returns an error, which Take
// returns, or panics, the message stays the next one.
func (b *Buffer) Take(ctx context.Context, use func(slot int) error) error {
	return b.step(ctx, &b.taken, use)
}

// TryPut is Put without blocking. It reports whether it called fill.
func (b *Buffer) TryPut(fill func(slot int) error) (bool, error) { return b.try(&b.put, fill) }

// TryTake is Take without blocking. It reports whether it called use.
func (b *Buffer) TryTake(use func(slot int) error) (bool, error) { return b.try(&b.taken, use) }

// Len returns the number of messages to be taken. It may have changed already.
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

// guess claims the slot that is next if no other process has been here.
func (b *Buffer) guess(s *side) (slot int, ok bool, err error) {
	next := int16(s.next.Load())
	ok, err = b.set.TryDo(addUndo(s.from, -1), addUndo(s.lock, -1),
		add(s.index, -next), isZero(s.index), add(s.index, next))
	return int(next), ok, err
}

// slot returns the slot that the caller has claimed.
func (b *Buffer) slot(s *side) (int, error) {
	slot, err := b.set.Value(int(s.index))
	if err == nil && slot >= b.slots {
		err = fmt.Errorf("buffer in sem:%d: slot %d is next, but there are %d slots", int(b.set), slot, b.slots)
	}
	if err != nil {
		_ = b.giveBack(s) // it can fail only if the set is gone
	}
	return slot, err
}

// work calls f with a claimed slot.
func (b *Buffer) work(s *side, slot int, f func(slot int) error) error {
	b.order.Acquire()
	over := false
	defer func() {
		if !over { // f panicked
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
	b.order.Release()
	_, err := b.set.TryDo(isZero(s.lock), addUndo(s.lock, 1), addUndo(s.from, 1))
	return err
}

// pass hands a slot to the other side. Adding with undo and subtracting without cancels
// the undo of the claim.
func (b *Buffer) pass(s *side, slot int) error {
	next := slot + 1
	if next == b.slots {
		next = 0
	}
	s.next.Store(int32(next))
	b.order.Release()
	ok, err := b.set.TryDo(isZero(s.lock), addUndo(s.lock, 1),
		addUndo(s.from, 1), add(s.from, -1), add(s.to, 1),
		add(s.index, int16(next-slot)))
	if err == nil && !ok {
		err = ErrNotHeld // another program has changed the semaphores' values
	}
	return err
}
