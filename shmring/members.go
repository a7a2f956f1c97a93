package shmring

import (
	"context"
	"fmt"
	"time"
)

// Members tells who has a role in a ring at some moment. It does not ask whether
// they live: see Ring.Abandoned.
type Members struct {
	Producers int    // that have joined and not left
	Consumer  bool   // tells whether there is one
	Joined    uint32 // how often a producer has joined since the ring was made
	Died      uint32 // how many of those were found to have ended without closing
	Ended     uint32 // how many had joined when the consumer saw the last end
}

// Members returns who has a role now. Of memory that is not mapped any more there is
// nobody.
func (r *Ring) Members() Members {
	unpin, err := r.pin()
	if err != nil {
		return Members{}
	}
	defer unpin()
	m := Members{Consumer: !vacant(r.consumer().ticket.Load())}
	all := r.producers()
	for i := range all {
		if all[i].ticket.Load() != nobody {
			m.Producers++
		}
	}
	m.Joined, m.Died, m.Ended = r.header.joins.Load(), r.header.deaths.Load(), r.header.seenJoins.Load()
	return m
}

// A Member is a process that has a role in a ring.
type Member struct {
	Consumer bool // it is the consumer; otherwise a producer
	Alive    bool // false if it has ended without closing, and nobody has noticed yet
	PID      int  // its number in PIDNamespace, as it said itself; 0 if it is just joining
	// PIDNamespace is the inode number of the pid namespace, as of /proc/PID/ns/pid.
	PIDNamespace uint64
	Started      uint64 // ticks of the clock after the boot: field 22 of /proc/PID/stat
}

// List returns who has a role now. Whether they live comes from the kernel, the rest is
// what the processes wrote. Errors: ErrClosed (the Ring); fs.PathError.
func (r *Ring) List() ([]Member, error) {
	unpin, err := r.pin()
	if err != nil {
		return nil, err
	}
	defer unpin()
	l, err := r.lifeline()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	var all []Member
	for i := range r.header.members {
		ticket, dead := r.dead(l, i)
		if vacant(ticket) {
			continue
		}
		who := r.header.members[i].label()
		all = append(all, Member{
			Consumer: i == consumerRole, Alive: !dead,
			PID: int(who.pid), PIDNamespace: uint64(who.namespace), Started: who.start,
		})
	}
	return all, nil
}

// Positions are how far a ring is: numbers of bytes, counted from the ring's beginning
// with what each message takes (its length rounded up to a multiple of 64) and with
// padding. They only grow.
type Positions struct {
	Head uint64 // up to here all messages have been received and released
	Tail uint64 // here the next claim begins; with One, the next message
}

// Positions returns how far the ring is at some moment: Tail - Head bytes are in use. It
// may be called by processes that have no role in the ring. Errors: ErrCorrupt.
func (r *Ring) Positions() (Positions, error) {
	unpin, err := r.pin()
	if err != nil {
		return Positions{}, err
	}
	defer unpin()
	for range attempts {
		head := r.header.head.Load()
		tail, err := r.header.tail.Load(), error(nil)
		if !r.many {
			tail, err = r.findTail(head)
		}
		if r.header.head.Load() != head {
			continue // the records were another lap's
		}
		if int64(tail-head) < 0 { // who claimed the last record has not moved tail yet
			tail = head
		}
		if tail-head > r.capacity && err == nil {
			err = corrupt("tail", tail)
		}
		return Positions{Head: head, Tail: tail}, err
	}
	return Positions{}, corrupt("head", r.header.head.Load())
}

// Abandoned tells whether the ring was left by processes that died: somebody has a
// role, and everybody who has one is dead. A new ring, and one that all
// have left in order, is not abandoned.
func (r *Ring) Abandoned() bool {
	unpin, err := r.pin()
	if err != nil {
		return false
	}
	defer unpin()
	l, err := r.lifeline()
	if err != nil {
		return false
	}
	defer l.Close()
	tickets := r.header.tickets.Load() // a role may be taken behind our back
	left := false
	for i := range r.header.members {
		switch ticket, dead := r.dead(l, i); {
		case dead:
			left = true
		case !vacant(ticket):
			return false
		}
	}
	return left && r.header.tickets.Load() == tickets
}

// Flush waits until all messages that were sent before the call, by this producer
// and by others, have been received and released, or until ctx is done; then the error
// unwraps to ctx.Err(). If nothing is left to be received ctx is not asked. Call Flush before unmapping the memory. Without a consumer it
// waits for one.
//
// Errors: ErrClosed (the consumer has closed before, or this producer), ErrPeerDied
// (the consumer's process has ended before), ErrClaim; ErrCorrupt.
func (p *Producer) Flush(ctx context.Context) error {
	switch {
	case p.closed:
		return fmt.Errorf("shmring: %w", ErrClosed)
	case p.claim != 0:
		return fmt.Errorf("shmring: %w", ErrClaim)
	}
	r := p.ring
	end := p.tail
	if r.many {
		end = r.header.tail.Load()
	}
	received := func() (bool, error) {
		// In this order: who receives all and closes in between has received all.
		closed := r.consumer().ticket.Load() == gone
		head := r.header.head.Load()
		switch left := end - head; {
		case int64(left) <= 0:
			return true, nil
		case left > r.capacity || head%unit != 0:
			return false, corrupt("head", head)
		case closed:
			return false, fmt.Errorf("shmring: %w", ErrClosed)
		}
		return false, nil
	}
	if ok, err := received(); ok || err != nil {
		return err
	}
	p.notify() // what follows the last message may be padding that was not worth a wake-up
	return p.wait.wait(ctx, received, func() (time.Duration, error) { return tick, p.CheckConsumer() })
}
