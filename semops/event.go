package semops

import (
	"context"

	"github.com/sysvipc/gipc/internal/order"
	"github.com/sysvipc/gipc/sysv"
)

// An Event is set or not set, and stays so until a process changes it, even if the process
// that set it ends. Any number of processes can wait for it; when it is set, all of them
// go on. The PID of its semaphore is the last process that changed the event or waited for
// it.
//
// A sleeping waiter goes on even if the event is set and reset at once. A waiter that is
// only about to sleep may find the event reset, and waits on.
//
// Cost: one semaphore, which is 1 while the event is not set. Set, Reset, and a Wait that
// does not block, are one system call each. A wait occupies one thread, and needs only
// read permission.
type Event struct {
	set   sysv.Set
	num   uint16
	wait  waiter
	order order.Edge
}

// EventValues returns the initial value of the semaphore of an Event, not set.
func EventValues() []uint16 { return []uint16{1} }

// NewEvent returns the event in semaphore num of set.
func NewEvent(set sysv.Set, num int) (*Event, error) {
	n, err := semaphores(set, "event", num, 1)
	if err == nil {
		err = initialized(set, "event", n)
	}
	if err != nil {
		return nil, err
	}
	return &Event{set: set, num: n}, nil
}

// Set sets the event, which lets all waiters go on.
func (e *Event) Set() error {
	e.order.Release()
	_, err := e.set.TryDo(add(e.num, -1))
	return err
}

// Reset returns the event to not set.
func (e *Event) Reset() error {
	_, err := e.set.TryDo(isZero(e.num), add(e.num, 1))
	return err
}

// IsSet reports whether the event is set. It may have changed already.
func (e *Event) IsSet() (bool, error) {
	value, err := e.set.Value(int(e.num))
	return err == nil && value == 0, err
}

// Wait blocks until the event is set or ctx is done.
func (e *Event) Wait(ctx context.Context) error {
	err := e.wait.do(ctx, e.set, isZero(e.num))
	e.order.Acquire()
	return err
}
