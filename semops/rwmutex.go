package semops

import (
	"context"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/critical"
	"github.com/sysvipc/gipc/sysv"
)

// An RWMutex is a read-write lock between processes and between the goroutines of each
// process. Any number of readers or one writer hold it. If a reader or writer ends without
// unlocking, however it ends, the kernel releases its lock. After a writer, the next
// writer is told, as with a Mutex, and readers are kept out until a writer has repaired
// the state.
//
// Readers and writers are served in order of arrival. A reader that arrives after a
// waiting writer waits for it, and a writer that arrives after waiting readers waits for
// them, so neither starves. A goroutine that holds a read lock must therefore not take
// another one: a writer may be waiting in between.
//
// Cost: three semaphores. Locking, trying and unlocking, for reading or writing, are one
// system call each if nobody is in the way. If they block, Lock makes two more and RLock
// one. A wait occupies one thread.
//
// States. The first two semaphores are those of a Mutex between the writers, called turn
// and dirty. The third counts readers. A reader checks that the turn is free and counts
// itself, in one semop. A writer takes the turn, which keeps out everyone who arrives
// later, and waits until there are no readers. Then it is the holder and adds 1 to dirty.
// The kernel reverses turn and count when a process ends, but not dirty.
type RWMutex struct {
	writer  Mutex
	readers uint16
	reading atomic.Int32 // read locks taken through this value
	drain   waiter       // the writer's wait for the readers
	pass    waiter       // the readers' wait for the turn
}

// RWMutexValues returns the initial values of the semaphores of an RWMutex.
func RWMutexValues() []uint16 { return []uint16{1, 0, 0} }

// NewRWMutex returns the lock in three semaphores of set, starting with semaphore first.
// They must have been initialised once with RWMutexValues. NewRWMutex needs read and write
// permission for the set.
func NewRWMutex(set sysv.Set, first int) (*RWMutex, error) {
	n, err := semaphores(set, "read-write lock", first, 3)
	if err == nil {
		err = initialized(set, "read-write lock", n)
	}
	if err != nil {
		return nil, err
	}
	return &RWMutex{writer: Mutex{set: set, lock: n, dirty: n + 1}, readers: n + 2}, nil
}

// Lock blocks until it gets the lock for writing, or until ctx is done. If err is not nil,
// the caller does not hold the lock. abandoned has the same meaning as in Mutex.Lock.
func (rw *RWMutex) Lock(ctx context.Context) (abandoned bool, err error) {
	if err := done(ctx, rw.writer.set); err != nil {
		return false, err
	}
	ok, err := rw.tryClean()
	if ok || err != nil {
		return false, err
	}
	w := &rw.writer
	if err := w.wait.do(ctx, w.set, addUndo(w.lock, -1)); err != nil {
		return false, err
	}
	err = rw.drain.do(ctx, w.set, isZero(rw.readers), add(w.dirty, 1))
	if err != nil {
		_, _ = w.set.TryDo(addUndo(w.lock, 1)) // it can fail only if the set is gone
	}
	return rw.taken(err)
}

// TryLock is Lock without blocking. locked reports whether the caller now holds the lock.
func (rw *RWMutex) TryLock() (locked, abandoned bool, err error) {
	ok, err := rw.tryClean()
	if ok || err != nil {
		return ok, false, err
	}
	w := &rw.writer
	ok, err = w.set.TryDo(isZero(rw.readers), addUndo(w.lock, -1), add(w.dirty, 1))
	if !ok && err == nil {
		return false, false, nil
	}
	abandoned, err = rw.taken(err)
	return err == nil, abandoned, err
}

// With locks for writing, calls f, and unlocks, as Mutex.With does.
func (rw *RWMutex) With(ctx context.Context, f func(abandoned bool) error) error {
	return with(ctx, rw, &rw.writer, f)
}

// RWith locks for reading, calls f, and unlocks. Errors: those of RLock, f and RUnlock.
func (rw *RWMutex) RWith(ctx context.Context, f func() error) (err error) {
	if err := rw.RLock(ctx); err != nil {
		return err
	}
	defer func() { err = critical.Join(err, rw.RUnlock()) }()
	return f()
}

// tryClean locks for writing if nobody is in the way and the last writer unlocked.
func (rw *RWMutex) tryClean() (bool, error) {
	w := &rw.writer
	ok, err := w.set.TryDo(isZero(w.dirty), isZero(rw.readers), addUndo(w.lock, -1), add(w.dirty, 1))
	if ok {
		w.held.Swap(1)
		rw.reading.Load()
	}
	return ok, err
}

// MarkConsistent declares that the state that a dead writer left has been repaired. It
// does nothing if no writer died. It returns ErrNotHeld if the caller is not the writer.
func (rw *RWMutex) MarkConsistent() error { return rw.writer.MarkConsistent() }

// Unlock ends a Lock, under the rules of Mutex.Unlock.
func (rw *RWMutex) Unlock() error { return rw.writer.Unlock() }

// RLock blocks until it gets the lock for reading, or until ctx is done. If the error is
// not nil, the caller does not hold the lock. The error is ErrInconsistent if a writer
// died and the state has not been repaired; call Lock to repair it.
func (rw *RWMutex) RLock(ctx context.Context) error {
	if err := done(ctx, rw.writer.set); err != nil {
		return err
	}
	ok, err := rw.tryRLockClean()
	if ok || err != nil {
		return err
	}
	w := &rw.writer
	if err := rw.pass.do(ctx, w.set, add(w.lock, -1), add(w.lock, 1), addUndo(rw.readers, 1)); err != nil {
		return err
	}
	return rw.admitted()
}

// TryRLock is RLock without blocking. It reports whether the caller now holds the lock.
func (rw *RWMutex) TryRLock() (bool, error) {
	ok, err := rw.tryRLockClean()
	if ok || err != nil {
		return ok, err
	}
	w := &rw.writer
	ok, err = w.set.TryDo(add(w.lock, -1), add(w.lock, 1), addUndo(rw.readers, 1))
	if !ok {
		return false, err
	}
	err = rw.admitted()
	return err == nil, err
}

// tryRLockClean locks for reading if no writer is in the way and the last writer unlocked.
func (rw *RWMutex) tryRLockClean() (bool, error) {
	w := &rw.writer
	ok, err := w.set.TryDo(isZero(w.dirty), add(w.lock, -1), add(w.lock, 1), addUndo(rw.readers, 1))
	if ok {
		rw.admit()
	}
	return ok, err
}

// admit counts a read lock, and observes the last Unlock.
func (rw *RWMutex) admit() {
	rw.reading.Add(1)
	rw.writer.held.Load()
}

// taken is Mutex.taken, and also observes the readers' unlocks.
func (rw *RWMutex) taken(err error) (abandoned bool, _ error) {
	rw.reading.Load()
	return rw.writer.taken(err)
}

// admitted determines what to tell a reader that the kernel has let in. While the reader
// is counted, no writer changes the dirty semaphore.
func (rw *RWMutex) admitted() error {
	w := &rw.writer
	dirty, err := w.set.Value(int(w.dirty))
	switch {
	case err != nil:
	case dirty == 0:
		rw.admit()
		return nil
	case dirty == maxValue:
		err = ErrNotRecoverable
	default:
		err = ErrInconsistent
	}
	_, _ = w.set.TryDo(addUndo(rw.readers, -1)) // it can fail only if the set is gone
	return err
}

// RUnlock releases one RLock. It returns ErrNotHeld if there is none through this RWMutex,
// or if another program has set its semaphores meanwhile.
func (rw *RWMutex) RUnlock() error {
	if rw.reading.Add(-1) < 0 {
		rw.reading.Add(1)
		return ErrNotHeld
	}
	ok, err := rw.writer.set.TryDo(addUndo(rw.readers, -1))
	switch {
	case err != nil:
		rw.reading.Add(1)
		return err
	case !ok:
		return ErrNotHeld
	}
	return nil
}
