package semops

import (
	"context"
	"fmt"

	"github.com/sysvipc/gipc/sysv"
)

// SemaphoreOptions says how a Semaphore operates.
type SemaphoreOptions struct {
	// Undo (SEM_UNDO) makes the kernel take back, when the process ends, what it has
	// added and subtracted. That is right where a process returns what it takes, as
	// with a lock or a pool of licences. It is wrong where one process adds and
	// another subtracts, as with a count of items: a producer's end would take its
	// items back.
	Undo bool
}

// A Semaphore is one semaphore of a set as Dijkstra knew it. posix.Semaphore has the same
// methods. Its initial value is
// for the program to choose. Several goroutines may use it.
//
// Cost: one semaphore. Acquire and Release are one system call each where Acquire need not
// wait. A
// wait occupies one thread.
type Semaphore struct {
	set  sysv.Set
	num  uint16
	undo bool
	wait waiter
	order
}

// NewSemaphore returns semaphore num of set. It changes nothing there.
func NewSemaphore(set sysv.Set, num int, o SemaphoreOptions) (*Semaphore, error) {
	n, err := semaphores(set, "semaphore", num, 1)
	if err != nil {
		return nil, err
	}
	return &Semaphore{set: set, num: n, undo: o.Undo}, nil
}

// op returns the operation that adds n times sign.
func (s *Semaphore) op(n int, sign int16) (sysv.Op, error) {
	if n < 1 || n > maxValue {
		return sysv.Op{}, fmt.Errorf("semaphore operation by %d: want 1 to %d", n, maxValue)
	}
	return sysv.Op{Num: s.num, Add: sign * int16(n), Undo: s.undo}, nil
}

// Acquire (Dijkstra's P) waits until the value is at least n, 1 to 32767, and subtracts n; or until ctx
// is done, and then nothing is subtracted.
func (s *Semaphore) Acquire(ctx context.Context, n int) error {
	if err := done(ctx, s.set); err != nil {
		return err
	}
	op, err := s.op(n, -1)
	if err != nil {
		return err
	}
	s.release()
	// As wait.do does, without its frame: each return after a system call costs.
	if s.wait.triesFirst() {
		ok, err := s.set.TryDo(op)
		if ok || err != nil {
			s.acquire()
			return err
		}
	}
	err = s.wait.wait(ctx, s.set, op)
	s.acquire()
	return err
}

// TryAcquire subtracts n if that is possible without waiting, and reports whether it did.
func (s *Semaphore) TryAcquire(n int) (bool, error) {
	op, err := s.op(n, -1)
	if err != nil {
		return false, err
	}
	s.release()
	ok, err := s.set.TryDo(op)
	s.acquire()
	return ok, err
}

// Release (V) adds n, 1 to 32767. It does not wait; a value above 32767 is ERANGE.
func (s *Semaphore) Release(n int) error {
	op, err := s.op(n, +1)
	if err != nil {
		return err
	}
	s.release()
	_, err = s.set.TryDo(op)
	return err
}

// WaitZero waits until the value is zero or ctx is done.
func (s *Semaphore) WaitZero(ctx context.Context) error {
	err := s.wait.do(ctx, s.set, isZero(s.num))
	s.acquire()
	return err
}

// Value returns the value, which may be another one already.
func (s *Semaphore) Value() (int, error) { return s.set.Value(int(s.num)) }
