package shmring

import (
	"context"
	"fmt"
	"time"
)

// Members shows which roles in a ring are taken. It does not say whether the processes are
// alive: see Ring.List and Ring.Abandoned.
type Members struct {
	Producers int    // producers that have joined and not left
	Consumer  bool   // there is a consumer
	Joined    uint32 // number of times a producer has joined since the ring was made
	Died      uint32 // number of producers found to have ended without closing
	Ended     uint32 // value of Joined when the consumer last saw the end
}

// Members returns which roles are taken now. If the memory is unmapped, it returns the
// zero Members.
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

// A Member is a process with a role in a ring.
type Member struct {
	Consumer bool // true for the consumer, false for a producer
	Alive    bool // false if the process ended without closing and the ring has not noticed yet
	PID      int  // process id in PIDNamespace, as the process itself wrote it; 0 while it joins
	// PIDNamespace is the inode number of the PID namespace, as in /proc/PID/ns/pid.
	PIDNamespace uint64
	Started      uint64 // start time in clock ticks after the boot: field 22 of /proc/PID/stat
}

// List returns the processes that have a role now. The kernel reports whether they are
// alive; the processes wrote everything else. Errors: ErrClosed (the Ring); fs.PathError.
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

// Positions shows the progress of a ring, in bytes since its beginning. Each message counts
// as its length rounded up to a multiple of 64, and padding counts too. Positions only
// grow.
type Positions struct {
	Head uint64 // everything before it has been received and released
	Tail uint64 // where the next claim begins; with One, the next message
}

// Positions returns the current progress of the ring: Tail - Head bytes are in use. A
// process without a role in the ring may call it. Errors: ErrCorrupt.
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
			continue // the records are of another lap
		}
		if int64(tail-head) < 0 { // the process that claimed the last record has not moved tail yet
			tail = head
		}
		if tail-head > r.capacity && err == nil {
			err = corrupt("tail", tail)
		}
		return Positions{Head: head, Tail: tail}, err
	}
	return Positions{}, corrupt("head", r.header.head.Load())
}

// Abandoned reports whether at least one process has a role in the ring and all such
// processes are dead. A new ring, and one that all processes have closed, is not
// abandoned.
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
	tickets := r.header.tickets.Load() // a role may be taken meanwhile
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

// Flush blocks until all messages that this and other producers sent before the call have
// been received and released, or until ctx is done; then the error unwraps to ctx.Err().
// If nothing is left to be received, it returns nil even if ctx is done. Without a
// consumer it waits for one. Call Flush before unmapping the memory.
//
// Errors: ErrClosed (this producer is closed, or the consumer has closed before receiving
// all), ErrPeerDied (the consumer's process ended before receiving all), ErrClaim;
// ErrCorrupt. With NamedOptions.Outlive, Flush waits for the next consumer instead.
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
		// Check in this order: a consumer that receives everything and closes in between
		// has received everything.
		closed := p.deserted()
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
	p.notify() // padding after the last message may not have woken the consumer yet
	return p.wait.wait(ctx, received, func() (time.Duration, error) { return tick, p.stranded() })
}
