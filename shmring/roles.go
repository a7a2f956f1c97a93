package shmring

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// A member records in the ring which process has a role.
type member struct {
	// ticket is nobody, or a number that was drawn when the role was taken and is never
	// drawn again. If two looks find the same number, the role was not left in between.
	ticket atomic.Uint64
	// The process, for people and for pidfd_open(2). It does not decide who has the role.
	pid       atomic.Uint32
	namespace atomic.Uint32 // inode of the PID namespace that pid belongs to
	start     atomic.Uint64 // in ticks of the clock since the boot
	_         [8]byte
}

// A label identifies the process of a member.
type label struct {
	pid       uint32
	namespace uint32
	start     uint64
}

const (
	nobody = 0
	// gone is the consumer's ticket after an orderly Close.
	gone = 1<<64 - 1

	// consumerRole is the number of the consumer's role; producers have the numbers below it.
	consumerRole = slotCount
)

func (r *Ring) consumer() *member { return &r.header.members[consumerRole] }

// producers returns the roles of producers. A ring for One uses only the first.
func (r *Ring) producers() []member {
	if r.many {
		return r.header.members[:slotCount]
	}
	return r.header.members[:1]
}

func vacant(ticket uint64) bool { return ticket == nobody || ticket == gone }

func (m *member) label() label { return label{m.pid.Load(), m.namespace.Load(), m.start.Load()} }

// dead reports whether the process that has role i has ended, and which ticket it had.
// A process takes the lock before it stores its ticket, and keeps it until the ticket is
// gone.
func (b *base) dead(l line, i int) (ticket uint64, dead bool) {
	m := &b.members[i]
	ticket = m.ticket.Load()
	return ticket, !vacant(ticket) && !l.held(i) && m.ticket.Load() == ticket
}

// take takes role i, whose ticket was from. It returns 0 if another process was faster.
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
	return 0, 0, fmt.Errorf("shmring: %w: %d producers have joined, which is the most", ErrBusy, len(all))
}

// bury takes over the role of producer i if its process is dead, and withdraws the
// claims that it left; otherwise it returns 0. No process gets the role before this is
// done, so the slot in a claim's state word always means one process. Because the role is
// taken over rather than freed, it does no harm if a second process buries too, or if one
// dies while burying.
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
// records from head on: no claim is made beyond head + capacity, and the consumer passes no
// open claim. withdrawAll does not read state words that belong to no record: in a large
// ring that is nearly empty they have no memory yet, and reading would allocate it.
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

// buryAll buries all dead producers and frees their roles. A producer that can't be buried
// now is still there the next time.
func (r *Ring) buryAll(l line) {
	for i := range r.producers() {
		if ticket, _ := r.bury(l, i); ticket != 0 {
			r.leave(l, i, ticket)
		}
	}
}

// noProducers reports whether every producer that joined has left.
func (r *Ring) noProducers() bool {
	all := r.producers()
	for i := range all {
		if all[i].ticket.Load() != nobody {
			return false
		}
	}
	return true
}

// attend takes the consumer's role if it is free or its process is dead.
func (r *Ring) attend(l line) (ticket uint64, err error) {
	was, dead := r.dead(l, consumerRole)
	if vacant(was) || dead {
		ticket, err = r.take(l, consumerRole, was)
	}
	if ticket == 0 && err == nil {
		err = fmt.Errorf("shmring: %w: there is a consumer already", ErrBusy)
	}
	return ticket, err
}

// watchable returns the processes of the members whose end pidfd_open(2) can report. all
// means that these are all members outside this process.
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
