package semops

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/critical"
	"github.com/sysvipc/gipc/sysv"
)

// A Mutex is a lock between processes and between the goroutines of each process. If its
// holder ends without unlocking, however it ends, the kernel releases the lock, and the
// next holder is told:
//
//	err := mu.With(ctx, func(abandoned bool) error {
//		if abandoned {
//			repair() // the last holder died: what it changed may be half changed
//		}
//		return work()
//	})
//
// Lock and Unlock do the same in two calls:
//
//	abandoned, err := mu.Lock(ctx)
//	if err != nil {
//		return err // not held
//	}
//	defer mu.Unlock()
//	if abandoned {
//		repair()
//		mu.MarkConsistent()
//	}
//
// As with sync.Mutex, the lock does not belong to a goroutine: one may lock and another
// unlock, but through the same Mutex value. A Mutex is not recursive.
//
// Sleeping waiters get the lock in order of arrival. A caller that tries can overtake only
// waiters that are not asleep.
//
// Cost: two semaphores. Lock, TryLock and Unlock are one system call each if nobody else
// holds the lock. A Lock that blocks reads one more value. A wait occupies one thread.
//
// States. The lock semaphore is 1 if the lock is free and 0 if it is held; the kernel adds
// the 1 back when the holder ends. The dirty semaphore is 0 after an Unlock. Every Lock
// adds 1 to it in the same semop, and only Unlock and MarkConsistent subtract.
//
//	lock dirty
//	 1     0     free
//	 0     1     held
//	 1   n ≥ 1   free, the last n holders died
//	 0   n ≥ 2   held by a holder that was told so
//	 1   32767   not recoverable: the kernel refuses to add the 1 of a Lock (ERANGE),
//	             also for sleeping waiters
//
// Each change between two states is a single semop, so a process cannot die halfway. A
// waiter that is killed after the kernel gave it the lock, but before it could know,
// counts as a holder that died.
type Mutex struct {
	set         sysv.Set
	lock, dirty uint16
	// held is 0, or the value of dirty when Lock returned. Lock sets it by Swap, which
	// observes the Swap of the last Unlock. So the memory model orders the holders.
	held atomic.Int32
	wait waiter
}

// MutexValues returns the initial values of the semaphores lock and dirty. Setting them
// again makes a mutex that is not recoverable usable; nobody may be using it then.
func MutexValues() []uint16 { return []uint16{1, 0} }

// NewMutex returns the mutex in the semaphores lock and dirty of set. They must have been
// initialised once with MutexValues; otherwise the error is sysv.ErrUninitialized.
// NewMutex needs read and write permission for the set.
func NewMutex(set sysv.Set, lock, dirty int) (*Mutex, error) {
	l, err := semaphores(set, "mutex", lock, 1)
	if err != nil {
		return nil, err
	}
	d, err := semaphores(set, "mutex", dirty, 1)
	if err != nil {
		return nil, err
	}
	if l == d {
		return nil, fmt.Errorf("mutex: lock and dirty cannot both be semaphore %d", l)
	}
	// A mutex is never in the state 0, 0. In that state, the additions fail, because no
	// semaphore can hold the sum. So sem_otime stays 0, which means that the set is still
	// being made.
	_, err = set.TryDo(isZero(l), isZero(d), add(l, maxValue), add(l, 1))
	if tooLarge(err) {
		err = uninitialized(set, "mutex")
	}
	if err != nil {
		return nil, err
	}
	return &Mutex{set: set, lock: l, dirty: d}, nil
}

// Lock blocks until it gets the lock, or until ctx is done. If err is not nil, the caller
// does not hold the lock. Otherwise it does, and abandoned reports whether the previous
// holder died: what the lock protects may be half changed. Repair it and call
// MarkConsistent before Unlock. ErrNotRecoverable is returned at once.
func (m *Mutex) Lock(ctx context.Context) (abandoned bool, err error) {
	if err := done(ctx, m.set); err != nil {
		return false, err
	}
	ok, err := m.tryClean()
	if ok || err != nil {
		return false, err
	}
	return m.taken(m.wait.do(ctx, m.set, addUndo(m.lock, -1), add(m.dirty, 1)))
}

// TryLock is Lock without blocking. locked reports whether the caller now holds the lock.
func (m *Mutex) TryLock() (locked, abandoned bool, err error) {
	ok, err := m.tryClean()
	if ok || err != nil {
		return ok, false, err
	}
	ok, err = m.set.TryDo(addUndo(m.lock, -1), add(m.dirty, 1))
	if !ok && err == nil {
		return false, false, nil
	}
	abandoned, err = m.taken(err)
	return err == nil, abandoned, err
}

// With locks, calls f, and unlocks. abandoned has the same meaning as in Lock. If f
// returns nil, the state counts as repaired. If f was told abandoned and returns an error,
// or if f panics, the next holder is told that its predecessor died. Errors: those of
// Lock, f and Unlock.
func (m *Mutex) With(ctx context.Context, f func(abandoned bool) error) error {
	return with(ctx, m, m, f)
}

// A locker is a Mutex, or the writers' side of an RWMutex.
type locker interface {
	Lock(ctx context.Context) (abandoned bool, err error)
}

func with(ctx context.Context, l locker, m *Mutex, f func(abandoned bool) error) error {
	abandoned, err := l.Lock(ctx)
	if err != nil {
		return err
	}
	return critical.Run(func() error { return f(abandoned) }, m.unlockClean, m.unlockFailed, m.abandon)
}

// unlockClean unlocks after what the lock protects has been repaired.
func (m *Mutex) unlockClean() error {
	if err := m.MarkConsistent(); err != nil {
		return err
	}
	return m.Unlock()
}

// unlockFailed unlocks. If the caller was told of a death, the next holder is told too.
func (m *Mutex) unlockFailed() error {
	if m.held.Load() > 1 {
		return m.abandon()
	}
	return m.Unlock()
}

// abandon releases the lock as the kernel does when its holder dies.
func (m *Mutex) abandon() error {
	if m.held.Swap(0) == 0 {
		return ErrNotHeld
	}
	ok, err := m.set.TryDo(isZero(m.lock), addUndo(m.lock, 1))
	if err == nil && !ok {
		err = ErrNotHeld
	}
	return err
}

// tryClean locks if the lock is free and its last holder unlocked it.
func (m *Mutex) tryClean() (bool, error) {
	ok, err := m.set.TryDo(isZero(m.dirty), addUndo(m.lock, -1), add(m.dirty, 1))
	if ok {
		m.held.Swap(1)
	}
	return ok, err
}

// taken determines what to tell the caller after an attempt to lock that returned err.
func (m *Mutex) taken(err error) (abandoned bool, _ error) {
	if err != nil {
		if tooLarge(err) {
			return false, ErrNotRecoverable
		}
		return false, err
	}
	dirty, err := m.set.Value(int(m.dirty))
	if err != nil {
		// The value cannot be read, or the set is gone. Restore the state before the lock,
		// if there is anything left to restore.
		_, _ = m.set.TryDo(add(m.dirty, -1), addUndo(m.lock, 1))
		return false, err
	}
	m.held.Swap(int32(max(dirty, 1))) // dirty is 0 if another program has just set it
	return dirty > 1, nil
}

// MarkConsistent declares that the state that a dead holder left has been repaired. It
// does nothing if no holder died. It returns ErrNotHeld if the caller does not hold the
// lock.
func (m *Mutex) MarkConsistent() error {
	dirty := m.held.Load()
	switch dirty {
	case 0:
		return ErrNotHeld
	case 1:
		return nil
	}
	ok, err := m.set.TryDo(isZero(m.lock), add(m.dirty, int16(1-dirty)))
	switch {
	case err != nil:
		return err
	case !ok:
		return ErrNotHeld
	}
	m.held.Store(1)
	return nil
}

// Unlock releases the lock. It returns ErrNotHeld if the lock is not held through this
// Mutex, or if another program has set its semaphores meanwhile. If Lock returned
// abandoned and MarkConsistent has not been called since, Unlock makes the mutex not
// recoverable.
func (m *Mutex) Unlock() error {
	// As soon as the semop is done, another goroutine of this process may hold the lock.
	// So held must be cleared first.
	dirty := m.held.Swap(0)
	if dirty == 0 {
		return ErrNotHeld
	}
	ok, err := m.set.TryDo(isZero(m.lock), add(m.dirty, afterUnlock(dirty)), addUndo(m.lock, 1))
	switch {
	case err != nil:
		m.held.Store(dirty)
		return err
	case !ok:
		return ErrNotHeld
	}
	return nil
}

// afterUnlock returns what Unlock adds to the dirty semaphore.
func afterUnlock(dirty int32) int16 {
	if dirty > 1 {
		return int16(maxValue - dirty)
	}
	return -1
}

// Holder returns the process that holds the lock, as recorded by the kernel (GETPID). It
// is 0 if nobody holds the lock, or if the process is not visible in the caller's PID
// namespace. The holder may have changed already.
func (m *Mutex) Holder() (pid int, err error) {
	pid, err = m.set.PID(int(m.lock))
	if err != nil {
		return 0, err
	}
	free, err := m.set.Value(int(m.lock))
	if err != nil || free != 0 {
		return 0, err
	}
	return pid, nil
}
