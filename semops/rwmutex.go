package semops

import (
	"context"
	"sync/atomic"

	"github.com/sysvipc/gipc/sysv"
)

// A RWMutex is a lock between processes, and between the goroutines of each, that
// any number of readers or one writer holds. A reader or writer that ends without
// unlocking, however it ends, loses its lock; after a writer the next one is told so,
// as by a Mutex, and readers are kept out until one has repaired what it left.
//
// Readers and writers take their turn in order of arrival: a reader that comes
// after a waiting writer waits until that has been served, and so does a writer that
// comes after waiting readers. Nobody starves. A goroutine that holds a read lock must
// therefore not ask for another one: a writer may have come in between.
//
// Cost: three semaphores. Lock, RLock, their unlocks and tries are one system call
// each where nobody is in the way. Lock makes two more where it waits, RLock one. A wait
// occupies one thread.
//
// States. The first two semaphores are those of a Mutex between the writers, named
// turn and dirty; the third counts readers. A reader passes the turn without
// keeping it and counts itself, in one semop. A writer takes the turn, which keeps
// all later ones out, and waits until there are no readers: then it is the
// holder and adds 1 to dirty. Turn and count come back from a process that ends;
// dirty does not.
type RWMutex struct {
	writer  Mutex
	readers uint16
	reading atomic.Int32 // read locks taken through this value
	drain   waiter       // the writer's wait for the readers
	pass    waiter       // the readers' wait for the turn
}

// RWMutexValues returns the initial values of the semaphores of a RWMutex.
func RWMutexValues() []uint16 { return []uint16{1, 0, 0} }

// NewRWMutex returns the lock that is kept in three semaphores of set, from first
// on, which must have got RWMutexValues once. It needs permission to read and to
// alter the set.
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

// Lock waits for the lock for writing, or until ctx is done. If the error is not nil the
// caller does not hold it; abandoned is that of Mutex.Lock.
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
		_, _ = w.set.TryDo(addUndo(w.lock, 1)) // no error but that the set is gone
	}
	return rw.taken(err)
}

// TryLock is Lock without waiting; it reports whether the caller holds the lock now.
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

// With calls f with the lock held for writing, as Mutex.With does.
func (rw *RWMutex) With(ctx context.Context, f func(abandoned bool) error) error {
	return with(ctx, rw, &rw.writer, f)
}

// RWith calls f with the lock held for reading. Errors: those of RLock, f and RUnlock.
func (rw *RWMutex) RWith(ctx context.Context, f func() error) (err error) {
	if err := rw.RLock(ctx); err != nil {
		return err
	}
	defer func() { err = join(err, rw.RUnlock()) }()
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

// MarkConsistent says that what the dead writer left has been repaired. It does
// nothing if none died, and returns ErrNotHeld to who is not the writer.
func (rw *RWMutex) MarkConsistent() error { return rw.writer.MarkConsistent() }

// Unlock ends a Lock, under the rules of Mutex.Unlock.
func (rw *RWMutex) Unlock() error { return rw.writer.Unlock() }

// RLock waits for the lock for reading, or until ctx is done. The caller holds it
// only if the error is nil. It is ErrInconsistent if a writer died and nobody has
// repaired what it left: who can, calls Lock, which will say abandoned.
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

// TryRLock locks for reading if that is possible without waiting, and tells
// whether the caller holds the lock now.
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

// tryRLockClean locks for reading if no writer is in the way and the last one
// unlocked.
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

// taken is Mutex.taken, and observes the readers' unlocks.
func (rw *RWMutex) taken(err error) (abandoned bool, _ error) {
	rw.reading.Load()
	return rw.writer.taken(err)
}

// admitted finds out what a reader has to be told that the kernel let in. While
// it is counted no writer changes the dirty semaphore.
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
	_, _ = w.set.TryDo(addUndo(rw.readers, -1)) // no error but that the set is gone
	return err
}

// RUnlock ends one RLock. It returns ErrNotHeld if none was made through this
// RWMutex, or if somebody has given its semaphores other values meanwhile.
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
