package semops

import (
	"context"

	"github.com/sysvipc/gipc/sysv"
)

// An Event is set or not, and stays so until somebody changes it. Any number of
// processes wait until it is set; all of them go on. Who sets it and ends leaves it
// set. The PID of its semaphore is the process that changed it last, or the last one
// since that waited for it.
//
// Who waits asleep goes on even if the event is reset at once after it was set;
// who is about to wait then finds it reset and waits on.
//
// Cost: one semaphore, which is 1 while the event is not set. Set, Reset and a Wait
// that need not wait are one system call. A wait occupies one thread; it needs
// read permission alone.
type Event struct {
	set  sysv.Set
	num  uint16
	wait waiter
	order
}

// EventValues returns the initial value of the semaphore of an event that is not
// set.
func EventValues() []uint16 { return []uint16{1} }

// NewEvent returns the event that is kept in semaphore num of set.
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

// Set sets the event, and lets everybody go on who waits for it.
func (e *Event) Set() error {
	e.release()
	_, err := e.set.TryDo(add(e.num, -1))
	return err
}

// Reset makes the event not set.
func (e *Event) Reset() error {
	_, err := e.set.TryDo(isZero(e.num), add(e.num, 1))
	return err
}

// IsSet tells whether the event is set, which may have changed already.
func (e *Event) IsSet() (bool, error) {
	value, err := e.set.Value(int(e.num))
	return err == nil && value == 0, err
}

// Wait waits until the event is set or ctx is done.
func (e *Event) Wait(ctx context.Context) error {
	err := e.wait.do(ctx, e.set, isZero(e.num))
	e.acquire()
	return err
}
