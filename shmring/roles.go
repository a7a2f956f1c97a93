package shmring

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// member is what the ring holds of a role: who has it.
type member struct {
	// ticket is nobody, or a number that was drawn when the role was taken and is never
	// drawn again. If two looks find the same number, the role was not left in between.
	ticket atomic.Uint64
	// The process, for people and for pidfd_open(2). Nothing is decided by it.
	pid       atomic.Uint32
	namespace atomic.Uint32 // inode of the pid namespace in which that is its number
	start     atomic.Uint64 // in ticks of the clock since the boot
	_         [8]byte
}

// A label is who a member is.
type label struct {
	pid       uint32
	namespace uint32
	start     uint64
}

const (
	nobody = 0
	// gone is the consumer's ticket after an orderly Close.
	gone = 1<<64 - 1

	// consumerRole is the number of the consumer's role; those of producers are below.
	consumerRole = slotCount
)

func (r *Ring) consumer() *member { return &r.header.members[consumerRole] }

// producers returns the roles of producers: that of One is the first.
func (r *Ring) producers() []member {
	if r.many {
		return r.header.members[:slotCount]
	}
	return r.header.members[:1]
}

func vacant(ticket uint64) bool { return ticket == nobody || ticket == gone }

func (m *member) label() label { return label{m.pid.Load(), m.namespace.Load(), m.start.Load()} }

// dead reports whether the process that has role i has ended, and which ticket it had.
// It had the lock before its ticket was there, and keeps it until after that is gone.
func (b *base) dead(l line, i int) (ticket uint64, dead bool) {
	m := &b.members[i]
	ticket = m.ticket.Load()
	return ticket, !vacant(ticket) && !l.held(i) && m.ticket.Load() == ticket
}

// take takes role i from who had it, or from nobody. It returns 0 if somebody else was
// faster.
func (b *base) take(l line, i int, from uint64) (ticket uint64, err error) {
	if err := l.hold(i); err != nil {
		return 0, err
	}
	if b.goes(l) {
		l.release(i)
		return 0, fmt.Errorf("shmring: %w: it is being removed", ErrBusy)
	}
	if ticket = b.tickets.Add(1); vacant(ticket) {
		err = corrupt("tickets", ticket)
	}
	m := &b.members[i]
	if err != nil || !m.ticket.CompareAndSwap(from, ticket) {
		l.release(i)
		return 0, err
	}
	m.pid.Store(b.self.pid)
	m.namespace.Store(b.self.namespace)
	m.start.Store(b.self.start)
	return ticket, nil
}

// leave gives role i back. In a sane ring nobody else has touched it.
func (b *base) leave(l line, i int, ticket uint64) {
	to := uint64(nobody)
	if i == consumerRole {
		to = gone
	}
	b.members[i].ticket.CompareAndSwap(ticket, to)
	l.release(i)
}

// join takes a role for a producer: a free one, or one whose process is dead.
func (r *Ring) join(l line) (slot int, ticket uint64, err error) {
	all := r.producers()
	for i := range all {
		if all[i].ticket.Load() == nobody {
			if ticket, err := r.take(l, i, nobody); ticket != 0 || err != nil {
				return i, ticket, err
			}
		}
	}
	for i := range all {
		if ticket, err := r.bury(l, i); ticket != 0 || err != nil {
			return i, ticket, err
		}
	}
	return 0, 0, fmt.Errorf("shmring: %w: %d producers", ErrBusy, len(all))
}

// bury takes over the role of producer i if its process is dead, and withdraws the
// claims that it left; otherwise it returns 0. That nobody gets the role before this is
// done is what makes the slot in a claim's state word mean one process; that the role is
// taken over rather than freed is why a second one that buries, or one that dies while
// it does, harms nothing.
func (r *Ring) bury(l line, i int) (ticket uint64, err error) {
	was, dead := r.dead(l, i)
	if !dead {
		return 0, nil
	}
	if ticket, err = r.take(l, i, was); ticket == 0 || err != nil {
		return 0, err
	}
	if r.many {
		r.withdrawAll(i)
	}
	r.header.deaths.Add(1)
	return ticket, nil
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

// buryAll does that for all dead producers. One that can't be buried now is still there
// the next time.
func (r *Ring) buryAll(l line) {
	for i := range r.producers() {
		if ticket, _ := r.bury(l, i); ticket != 0 {
			r.leave(l, i, ticket)
		}
	}
}

// noProducers reports whether no producer has joined that has not left.
func (r *Ring) noProducers() bool {
	all := r.producers()
	for i := range all {
		if all[i].ticket.Load() != nobody {
			return false
		}
	}
	return true
}

// attend takes the consumer's role, which is free or a dead process's.
func (r *Ring) attend(l line) (ticket uint64, err error) {
	was, dead := r.dead(l, consumerRole)
	if vacant(was) || dead {
		ticket, err = r.take(l, consumerRole, was)
	}
	if ticket == 0 && err == nil {
		err = fmt.Errorf("shmring: %w: consumer", ErrBusy)
	}
	return ticket, err
}

// watchable returns the processes of members whose end pidfd_open(2) can tell. all says
// that it can tell that of every member but those of this process.
func (b *base) watchable(members []member) (pids []int, all bool) {
	for i := range members {
		if vacant(members[i].ticket.Load()) {
			continue
		}
		switch l := members[i].label(); {
		case l.namespace != b.self.namespace || l.namespace == 0 || l.pid == 0:
			return nil, false
		case l.pid != b.self.pid && !slices.Contains(pids, int(l.pid)):
			pids = append(pids, int(l.pid))
		}
	}
	return pids, true
}
