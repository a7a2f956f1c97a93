package shmring

import (
	"fmt"
	"slices"
)

// join takes a slot for a producer: a free one, or one whose process is dead.
func (r *Ring) join() (int, error) {
	slots := r.header.slots[:]
	if !r.many {
		slots = slots[:1]
	}
	for i := range slots {
		if slots[i].CompareAndSwap(uint64(nobody), uint64(r.self)) {
			return i, nil
		}
	}
	for i := range slots {
		if r.bury(i) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("shmring: %w: %d producers", ErrBusy, len(slots))
}

// bury takes over slot i if the process that had it is dead, and withdraws the claims
// that it left. The slot is the caller's then. That nobody gets the slot
// before this is done is what makes the owner in a claim's state word mean one
// process; that the slot is taken over rather than freed is why a second one that
// buries, or one that dies while it does, harms nothing.
func (r *Ring) bury(i int) bool {
	slot := &r.header.slots[i]
	id := identity(slot.Load())
	if !r.dead(id) || !slot.CompareAndSwap(uint64(id), uint64(r.self)) {
		return false
	}
	if r.many {
		r.withdrawAll(i)
	}
	r.header.deaths.Add(1)
	return true
}

// withdrawAll withdraws all claims of slot i, whose process is dead. They are among the
// records that begin at head, since no claim is made beyond head + capacity and the
// consumer passes none. State words that belong to no record are not read: in a large
// ring that is nearly empty they have no memory yet, and reading would give them some.
func (r *Ring) withdrawAll(i int) {
	first := r.header.head.Load()
	for pos := first; pos-first < r.capacity; {
		word := r.state(pos)
		w := word.Load()
		if !r.current(w, pos) {
			// The last record was before this one, unless the consumer has passed it.
			head := r.header.head.Load()
			if passed := head - pos; passed == 0 || passed > r.capacity {
				return
			}
			pos = head
			continue
		}
		if stateOf(w) == claimed && ownerOf(w) == i {
			word.CompareAndSwap(w, w|skipped)
		}
		pos += extent(r.length(w))
	}
}

// leave frees a slot that is the caller's.
func (r *Ring) leave(i int) { r.header.slots[i].Store(uint64(nobody)) }

// buryAll does that for all dead producers.
func (r *Ring) buryAll() {
	for i := range r.header.slots {
		if r.bury(i) {
			r.leave(i)
		}
	}
}

// mortals returns the identities of all producers whose death can be noticed.
func (r *Ring) mortals() (ids []identity) {
	for i := range r.header.slots {
		id := identity(r.header.slots[i].Load())
		if id.known() && id != r.self && r.self.known() && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// noProducers tells whether nobody has a slot.
func (r *Ring) noProducers() bool {
	for i := range r.header.slots {
		if r.header.slots[i].Load() != uint64(nobody) {
			return false
		}
	}
	return true
}

// attend takes the consumer's role, which is free or a dead process's.
func (r *Ring) attend() error {
	word := &r.header.consumer
	id := identity(word.Load())
	if id != nobody && id != gone && !r.dead(id) || !word.CompareAndSwap(uint64(id), uint64(r.self)) {
		return fmt.Errorf("shmring: %w: consumer", ErrBusy)
	}
	return nil
}
