package semops

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sysvipc/gipc/sysv"
)

// A Mutex is a lock between processes, and between the goroutines of each. If its
// holder ends without unlocking, however it ends, the kernel gives the lock back,
// and the next holder is told so:
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
// As with sync.Mutex the lock belongs to no goroutine: one may lock and another
// unlock, but through the same Mutex value. It can't be locked twice.
//
// Who waits asleep is served in order of arrival; who tries at the right moment
// comes before them only if nobody sleeps.
//
// Cost: two semaphores. Lock, TryLock and Unlock are one system call each where
// nobody else holds the lock; a Lock that waits reads one value more. A wait
// occupies one thread.
//
// States. The lock semaphore is 1 if the lock is free and 0 if it is held; the kernel
// adds the 1 again when the holder ends. The dirty semaphore is 0 after an Unlock;
// every Lock adds 1, in the same semop, and nothing but Unlock and
// MarkConsistent takes it away.
//
//	lock dirty
//	 1     0     free
//	 0     1     held
//	 1   n ≥ 1   free, the last n holders died
//	 0   n ≥ 2   held by one that was told so
//	 1   32767   not recoverable: the 1 that Lock would add is refused (ERANGE),
//	             to those asleep too
//
// There is no step between two of these states, so there is none in which a
// process could die. A waiter that is killed after the kernel gave it the lock
// and before it could know counts as a holder that died.
type Mutex struct {
	set         sysv.Set
	lock, dirty uint16
	// held is 0, or the value of dirty since Lock returned. Lock sets it by Swap, which
	// observes the Swap of the last Unlock: so the memory model orders the holders.
	held atomic.Int32
	wait waiter
}

// MutexValues returns the initial values of the semaphores lock and dirty. Given
// them anew, a mutex that is not recoverable is as new; nobody may use it then.
func MutexValues() []uint16 { return []uint16{1, 0} }

// NewMutex returns the mutex that is kept in the semaphores lock and dirty of set.
// They must have got MutexValues once, or the error is sysv.ErrUninitialized. It
// needs permission to read and to alter the set.
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
		return nil, fmt.Errorf("mutex: semaphore %d can not be both", l)
	}
	// No mutex is ever in the state 0, 0. That the operations fail beyond it, for no
	// semaphore can hold so much, keeps sem_otime at 0 where it says that the set is
	// still being made.
	_, err = set.TryDo(isZero(l), isZero(d), add(l, maxValue), add(l, 1))
	if tooLarge(err) {
		err = uninitialized(set, "mutex")
	}
	if err != nil {
		return nil, err
	}
	return &Mutex{set: set, lock: l, dirty: d}, nil
}

// Lock waits for the lock, or until ctx is done. If the error is not nil the caller does
// not hold it; otherwise it does, and abandoned reports that the holder before it died:
// what the lock protects may be half changed. Repair it and call MarkConsistent before
// Unlock. ErrNotRecoverable comes at once.
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

// TryLock is Lock without waiting; it reports whether the caller holds the lock now.
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

// With calls f with the lock held, and unlocks. abandoned is that of Lock; when f has
// returned nil the state counts as repaired. If f has been told of a death and fails, or
// if it panics, the next holder is told that its last one died. Errors: those of Lock, f
// and Unlock.
func (m *Mutex) With(ctx context.Context, f func(abandoned bool) error) error {
	return with(ctx, m, m, f)
}

// A locker is a Mutex, or the writers' side of a RWMutex.
type locker interface {
	Lock(ctx context.Context) (abandoned bool, err error)
}

func with(ctx context.Context, l locker, m *Mutex, f func(abandoned bool) error) error {
	abandoned, err := l.Lock(ctx)
	if err != nil {
		return err
	}
	over := false
	defer func() {
		if !over { // f panics
			_ = m.abandon()
		}
	}()
	err = f(abandoned)
	over = true
	switch {
	case err == nil:
		if err = m.MarkConsistent(); err == nil {
			err = m.Unlock()
		}
		return err
	case m.held.Load() > 1:
		return join(err, m.abandon())
	default:
		return join(err, m.Unlock())
	}
}

// join is errors.Join, which leaves a single error as it is.
func join(err, second error) error {
	if second == nil {
		return err
	}
	return errors.Join(err, second)
}

// abandon gives the lock back as the kernel does when its holder dies.
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

// tryClean locks if the lock is free and the last holder unlocked it.
func (m *Mutex) tryClean() (bool, error) {
	ok, err := m.set.TryDo(isZero(m.dirty), addUndo(m.lock, -1), add(m.dirty, 1))
	if ok {
		m.held.Swap(1)
	}
	return ok, err
}

// taken finds out what the holder has to be told after an attempt to lock that
// ended with err.
func (m *Mutex) taken(err error) (abandoned bool, _ error) {
	if err != nil {
		if tooLarge(err) {
			return false, ErrNotRecoverable
		}
		return false, err
	}
	dirty, err := m.set.Value(int(m.dirty))
	if err != nil {
		// Can't be read, or removed: as before, if there is anything to give back.
		_, _ = m.set.TryDo(add(m.dirty, -1), addUndo(m.lock, 1))
		return false, err
	}
	m.held.Swap(int32(max(dirty, 1))) // 0 if somebody has just given it that value
	return dirty > 1, nil
}

// MarkConsistent says that what the dead holder left has been repaired. It does
// nothing if nobody died, and returns ErrNotHeld to who does not hold the lock.
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

// Unlock gives the lock back. It returns ErrNotHeld if it is not locked through
// this Mutex, or if somebody has given its semaphores other values meanwhile.
// After a Lock that said abandoned, and no MarkConsistent, it makes the mutex not
// recoverable.
func (m *Mutex) Unlock() error {
	// At the moment of the semop somebody else in this process may have the lock, so
	// held must have been cleared before.
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

// Holder returns the process that holds the lock, as the kernel remembers it
// (GETPID); 0 if nobody does or if it is not visible here. It may be another one
// already.
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
