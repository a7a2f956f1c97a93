package semops

import (
	"context"
	"fmt"

	"github.com/sysvipc/gipc/internal/order"
	"github.com/sysvipc/gipc/sysv"
)

// SemaphoreOptions holds the options of a Semaphore.
type SemaphoreOptions struct {
	// Undo (SEM_UNDO) makes the kernel reverse the additions and subtractions of the
	// process when it ends. This is right if each process gives back what it takes, as
	// with a lock or a pool of licences. It is wrong if one process adds and another
	// subtracts, as with a count of items: the end of a producer would take its items
	// back.
	Undo bool
}

// A Semaphore is one semaphore of a set. It has the same methods as posix.Semaphore. The
// program chooses its initial value. Several goroutines may use it.
//
// Cost: one semaphore. Release, and an Acquire that does not block, are one system call
// each. A wait occupies one thread.
type Semaphore struct {
	set   sysv.Set
	num   uint16
	undo  bool
	wait  waiter
	order order.Edge
}

// NewSemaphore returns semaphore num of set. A nil o means the zero options. It does not
// change the set.
func NewSemaphore(set sysv.Set, num int, o *SemaphoreOptions) (*Semaphore, error) {
	if o == nil {
		o = new(SemaphoreOptions)
	}
	n, err := semaphores(set, "semaphore", num, 1)
	if err != nil {
		return nil, err
	}
	return &Semaphore{set: set, num: n, undo: o.Undo}, nil
}

// op returns the operation that adds n×sign.
func (s *Semaphore) op(n int, sign int16) (sysv.Op, error) {
	if n < 1 || n > maxValue {
		return sysv.Op{}, fmt.Errorf("semaphore operation by %d: want 1 to %d", n, maxValue)
	}
	return sysv.Op{Num: s.num, Add: sign * int16(n), Undo: s.undo}, nil
}

// Acquire (Dijkstra's P) blocks until the value is at least n, 1 to 32767, and subtracts
// n. If ctx is done first, it subtracts nothing.
func (s *Semaphore) Acquire(ctx context.Context, n int) error {
	if err := done(ctx, s.set); err != nil {
		return err
	}
	op, err := s.op(n, -1)
	if err != nil {
		return err
	}
	s.order.Release()
	// The same as wait.do, without its frame: each return after a system call costs time.
	if s.wait.triesFirst() {
		ok, err := s.set.TryDo(op)
		if ok || err != nil {
			s.order.Acquire()
			return err
		}
	}
	err = s.wait.wait(ctx, s.set, op)
	s.order.Acquire()
	return err
}

// TryAcquire is Acquire without blocking. It reports whether it subtracted n.
func (s *Semaphore) TryAcquire(n int) (bool, error) {
	op, err := s.op(n, -1)
	if err != nil {
		return false, err
	}
	s.order.Release()
	ok, err := s.set.TryDo(op)
	s.order.Acquire()
	return ok, err
}

// Release (Dijkstra's V) adds n, 1 to 32767. It does not block. The error is ERANGE if the
// value would exceed 32767.
func (s *Semaphore) Release(n int) error {
	op, err := s.op(n, +1)
	if err != nil {
		return err
	}
	s.order.Release()
	_, err = s.set.TryDo(op)
	return err
}

// WaitZero blocks until the value is zero or ctx is done.
func (s *Semaphore) WaitZero(ctx context.Context) error {
	err := s.wait.do(ctx, s.set, isZero(s.num))
	s.order.Acquire()
	return err
}

// Value returns the value. It may have changed already.
func (s *Semaphore) Value() (int, error) { return s.set.Value(int(s.num)) }
