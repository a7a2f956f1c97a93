package semops

import (
	"context"
	"fmt"

	"github.com/sysvipc/gipc/internal/critical"
)

// A Cond lets processes and goroutines wait for a change of what a Mutex protects, without
// holding the mutex:
//
//	err := mu.With(ctx, func(abandoned bool) error {
//		...
//		for !ready() {
//			if abandoned, err := cond.Wait(ctx); abandoned || err != nil {
//				...
//			}
//		}
//	})
//
// Check the condition in a loop, as above: Wait may return without a signal, because the
// signal of a killed waiter goes to another one. No signal is lost. Signal wakes one of
// the goroutines that wait or are about to, and Broadcast wakes all of them. Neither needs
// the mutex.
//
// Cost: five semaphores, in the mutex's set. Wait is three system calls plus those of
// Lock. Signal is two if nobody waits, otherwise four; Broadcast is two or five. A wait
// occupies one thread.
//
// States. Waiters are in one of two groups; the semaphore group says in which. Each group
// has a semaphore that counts its waiters, and one that counts signals. Wait counts the
// caller, with undo, in the semop that unlocks the mutex. A second semop takes a signal
// and uncounts the caller. Signal adds a signal if the group has more waiters than
// signals. Broadcast adds signals for all waiters and switches to the other group, in one
// semop, so that no later waiter can take a signal meant for an earlier one. It can do so
// only when all waiters of that other group have taken their signals, which they have had
// since the previous Broadcast.
type Cond struct {
	mu      *Mutex
	group   uint16
	waiters [2]uint16
	signals [2]uint16
	wait    waiter
	drain   waiter
}

// everybody is the number of signals that a Broadcast adds.
const everybody = maxValue/2 + 1

// CondValues returns the initial values of the semaphores of a Cond.
func CondValues() []uint16 { return make([]uint16, 5) }

// NewCond returns the condition in five semaphores of the set of mu, starting with
// semaphore first. They must have been initialised with CondValues. All users must use the
// same semaphores for the mutex.
func NewCond(mu *Mutex, first int) (*Cond, error) {
	n, err := semaphores(mu.set, "condition", first, 5)
	if err != nil {
		return nil, err
	}
	for _, num := range []uint16{mu.lock, mu.dirty} {
		if n <= num && num <= n+4 {
			return nil, fmt.Errorf("condition: semaphore %d is the mutex's", num)
		}
	}
	return &Cond{mu: mu, group: n, waiters: [2]uint16{n + 1, n + 2}, signals: [2]uint16{n + 3, n + 4}}, nil
}

// Wait unlocks the mutex, which the caller must hold, and blocks until there is a signal
// or ctx is done. Then it locks the mutex again, however long that takes. If there was no
// signal, the error unwraps to ctx.Err(). The caller holds the mutex afterwards even if
// there is an error, except ErrNotHeld, ErrNotRecoverable or a failed system call.
// abandoned has the same meaning as in Lock.
//
// A caller that was told abandoned must call MarkConsistent before it waits. Otherwise
// Wait returns ErrInconsistent and does nothing.
func (c *Cond) Wait(ctx context.Context) (abandoned bool, err error) {
	group, err := c.join()
	if err != nil {
		return false, err
	}
	err = c.leave(ctx, group)
	abandoned, lockErr := c.mu.Lock(context.Background())
	if lockErr != nil {
		return false, critical.Join(lockErr, err)
	}
	return abandoned, err
}

// join counts the caller and unlocks the mutex.
func (c *Cond) join() (group int, err error) {
	m := c.mu
	switch dirty := m.held.Swap(0); {
	case dirty == 0:
		return 0, ErrNotHeld
	case dirty > 1:
		m.held.Store(dirty)
		return 0, ErrInconsistent
	}
	for {
		group, err := readBit(c.mu.set, "condition", c.group)
		if err != nil {
			m.held.Store(1)
			return 0, err
		}
		op1, op2 := isBit(c.group, group)
		ok, err := m.set.TryDo(op1, op2, addUndo(c.waiters[group], 1),
			isZero(m.lock), add(m.dirty, -1), addUndo(m.lock, 1))
		if err != nil {
			m.held.Store(1)
			return 0, err
		}
		if ok {
			return group, nil
		}
		// A Broadcast came in between, or another program changed the mutex's values.
		if held, err := m.set.TryDo(isZero(m.lock)); err == nil && !held {
			return 0, ErrNotHeld
		}
	}
}

// leave blocks until there is a signal.
func (c *Cond) leave(ctx context.Context, group int) error {
	out := addUndo(c.waiters[group], -1)
	err := c.wait.do(ctx, c.mu.set, add(c.signals[group], -1), out)
	if err == nil {
		return nil
	}
	// A waiter woken at this moment has taken the signal. A waiter that leaves without a
	// signal must not leave one behind that no waiter can take.
	for {
		if ok, failed := c.mu.set.TryDo(add(c.signals[group], -1), out); ok {
			return nil
		} else if failed != nil {
			return err
		}
		if ok, failed := c.mu.set.TryDo(isZero(c.signals[group]), out); ok || failed != nil {
			return err
		}
	}
}

// Signal wakes one waiter, if there is any.
func (c *Cond) Signal() error {
	set := c.mu.set
	group, err := readBit(set, "condition", c.group)
	if err != nil {
		return err
	}
	waiters, signals := c.waiters[group], c.signals[group]
	for {
		w, err := set.Value(int(waiters))
		if err != nil || w == 0 {
			return err
		}
		s, err := set.Value(int(signals))
		if err != nil {
			return err
		}
		if ok, err := c.signal(group, w, s); ok || err != nil {
			return err
		}
	}
}

// signal adds a signal to a group that was found with w waiters, at least one, and s
// signals, unless each waiter has a signal already. w and s were read at different times,
// and may have changed; signal reports whether they still hold.
func (c *Cond) signal(group, w, s int) (bool, error) {
	waiters, signals := c.waiters[group], c.signals[group]
	if s >= w {
		return c.mu.set.TryDo(add(signals, int16(-s)), isZero(signals), add(signals, int16(s)),
			add(waiters, int16(-w)), isZero(waiters), add(waiters, int16(w)))
	}
	more := int16(s + 1)
	return c.mu.set.TryDo(add(signals, int16(-s)), isZero(signals), add(signals, more),
		add(waiters, -more), add(waiters, more))
}

// Broadcast wakes all waiters. If some waiters have not yet noticed the previous
// Broadcast, which takes them a moment, it blocks until they have, or until ctx is done.
func (c *Cond) Broadcast(ctx context.Context) error {
	if err := done(ctx, c.mu.set); err != nil {
		return err
	}
	set := c.mu.set
	for {
		group, err := readBit(set, "condition", c.group)
		if err != nil {
			return err
		}
		if w, err := set.Value(int(c.waiters[group])); err != nil || w == 0 {
			return err
		}
		other := 1 - group
		gone := isZero(c.waiters[other])
		if err := c.drain.do(ctx, set, gone); err != nil {
			return err
		}
		s, err := set.Value(int(c.signals[other]))
		if err != nil {
			return err
		}
		op1, op2 := isBit(c.group, group)
		ok, err := set.TryDo(op1, op2, flip(c.group, group), gone,
			add(c.signals[other], int16(-s)), isZero(c.signals[other]), add(c.signals[group], everybody))
		if ok || err != nil {
			return err
		}
	}
}
