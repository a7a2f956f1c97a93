package shmsync

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/critical"
	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/internal/spin"
)

// An RWMutex is a read-write lock between processes, and between the goroutines of each.
// Any number of readers or one writer hold it. Up to 62 RWMutex values can be open for a
// lock at a time; values of dead processes do not count.
//
// If a reader ends without unlocking, however it ends, its lock is released. After a
// writer, the next writer is told, and readers get ErrInconsistent until a writer has
// repaired the state.
//
// A reader that arrives after a writer waits for it, and both take turns like waiters for
// a Mutex, so neither starves. A goroutine that holds a read lock must therefore not take
// another one: a writer may be waiting in between.
//
// If nobody is in the way, no method makes a system call or allocates. A reader writes
// only to a cache line of its own value, so readers of several processes do not slow each
// other down. What Mutex says about the race detector and about truncated objects applies
// here too.
type RWMutex struct {
	turn    *Mutex // held by a writer, and briefly by a reader that had to wait
	words   *rwWords
	slot    atomic.Pointer[readerSlot] // a private copy once closed
	reading atomic.Int64               // read locks taken through this value
	writing atomic.Bool                // the lock is held for writing through this value
}

// NewRWMutex returns the lock in the RWMutexSize bytes at offset off of mem, a multiple of
// 64. It follows the rules of NewMutex. Errors: those of NewMutex; ErrBusy (62 values are
// open).
func NewRWMutex(mem Memory, off int) (*RWMutex, error) {
	rw := &RWMutex{turn: newMutex()}
	release, err := open(mem, off, rw.join)
	rw.turn.release = release
	if err != nil {
		return nil, err
	}
	return rw, nil
}

// join opens the lock and takes a slot.
func (rw *RWMutex) join(w *rwWords) error {
	if err := rw.turn.join(&w.mutex, featureRW); err != nil {
		return err
	}
	rw.words = w
	ticket := rw.turn.self >> ownerShift
	for range 2 {
		for i := range w.readers {
			if s := &w.readers[i]; s.owner.CompareAndSwap(0, ticket) {
				rw.slot.Store(s)
				return nil
			}
		}
		if err := rw.bury(); err != nil {
			rw.turn.line.Close()
			return err
		}
	}
	rw.turn.line.Close()
	return fmt.Errorf("%w: %d values are open", ErrBusy, readerSlots)
}

// bury frees the slots of dead processes. It takes over a slot first: if this process dies
// meanwhile, another one frees the slot.
func (rw *RWMutex) bury() error {
	ticket := rw.turn.self >> ownerShift
	for i := range rw.words.readers {
		s := &rw.words.readers[i]
		owner := s.owner.Load()
		if owner != 0 && !rw.words.mutex.drawn(owner<<ownerShift) {
			return corrupt("owner of a read lock", owner)
		}
		if owner == 0 || owner == ticket || rw.turn.line.Held(int64(owner)) || !s.owner.CompareAndSwap(owner, ticket) {
			continue
		}
		s.count.Store(0)
		s.owner.Store(0)
	}
	return nil
}

// Lock waits until it holds the lock for writing, or until ctx is done. The results are
// those of Mutex.Lock.
func (rw *RWMutex) Lock(ctx context.Context) (abandoned bool, err error) {
	told, err := rw.turn.Lock(ctx)
	if err != nil {
		return false, err
	}
	return rw.lock(told, func() error { return rw.drain(ctx) })
}

// TryLock is Lock without waiting; it reports whether the caller holds the lock now. If
// another process is in the way, it checks at once whether that process is alive.
func (rw *RWMutex) TryLock() (locked, abandoned bool, err error) {
	locked, told, err := rw.turn.TryLock()
	if !locked || err != nil {
		return false, false, err
	}
	told, err = rw.lock(told, func() error {
		if !rw.read() {
			return nil
		}
		if err := rw.bury(); err != nil {
			return fmt.Errorf("shmsync: %w", err)
		}
		if rw.read() {
			return errRead
		}
		return nil
	})
	if errors.Is(err, errRead) {
		return false, false, nil
	}
	return err == nil, told, err
}

var errRead = errors.New("lock is held for reading")

// lock takes the lock for writing. The caller holds the turn; wait returns nil once there
// are no readers.
func (rw *RWMutex) lock(told bool, wait func() error) (abandoned bool, err error) {
	if told, err = rw.settle(told); err != nil {
		return false, err
	}
	if err := memory.Guard(wait); err != nil {
		return false, critical.Join(err, rw.turn.unlockFailed())
	}
	rw.words.exclusive.Store(1)
	rw.turn.order.Acquire()
	rw.writing.Store(true)
	return told, nil
}

// settle returns whether the state may be half changed. A writer that died while it waited
// for readers, or a reader that died while it held the turn, has changed nothing.
func (rw *RWMutex) settle(told bool) (bool, error) {
	if !told || rw.words.exclusive.Load() != 0 {
		return told, nil
	}
	return false, rw.turn.MarkConsistent()
}

// read reports whether somebody may hold the lock for reading.
func (rw *RWMutex) read() bool {
	for i := range rw.words.readers {
		if s := &rw.words.readers[i]; s.count.Load() != 0 && s.owner.Load() != 0 {
			return true
		}
	}
	return false
}

// drain waits until there are no readers. New readers wait for the turn.
func (rw *RWMutex) drain(ctx context.Context) error {
	for pause := uint32(1); rw.turn.spin && pause <= pauseMost; pause *= 2 {
		if !rw.read() {
			return nil
		}
		spin.Pause(pause)
	}
	w := rw.words
	memory.Store32(&w.draining, 1)
	defer w.draining.Store(0)
	for {
		turn := w.drained.Load()
		if !rw.read() {
			return nil
		}
		err := ctx.Err()
		if err == nil {
			err = futex.Wait(ctx, futexWord(&w.drained), turn, tick)
		}
		if errors.Is(err, futex.ErrTimeout) {
			err = rw.bury()
		}
		if err != nil {
			return fmt.Errorf("shmsync: %w", err)
		}
	}
}

// MarkConsistent is Mutex.MarkConsistent for the writer.
func (rw *RWMutex) MarkConsistent() error {
	if !rw.writing.Load() {
		return ErrNotHeld
	}
	return rw.turn.MarkConsistent()
}

// Unlock ends a Lock, as Mutex.Unlock does.
func (rw *RWMutex) Unlock() error { return rw.end(rw.turn.Unlock) }

// end calls unlock. A state that nobody has repaired stays marked.
func (rw *RWMutex) end(unlock func() error) error {
	if !rw.writing.CompareAndSwap(true, false) {
		return rw.closedOr(ErrNotHeld)
	}
	if rw.turn.words.Load().lock.Load()&abandoned == 0 {
		rw.words.exclusive.Store(0)
	}
	return unlock()
}

func (rw *RWMutex) closedOr(err error) error {
	if rw.turn.waiters.Load() < 0 {
		return ErrClosed
	}
	return err
}

// With calls f with the lock held for writing, and unlocks, as Mutex.With does.
func (rw *RWMutex) With(ctx context.Context, f func(abandoned bool) error) error {
	told, err := rw.Lock(ctx)
	if err != nil {
		return err
	}
	return critical.Run(func() error { return f(told) }, rw.unlockClean, rw.unlockFailed, rw.abandon)
}

func (rw *RWMutex) unlockClean() error {
	if err := rw.MarkConsistent(); err != nil {
		return err
	}
	return rw.Unlock()
}

func (rw *RWMutex) unlockFailed() error { return rw.end(rw.turn.unlockFailed) }

// abandon releases the lock as if the writer had died.
func (rw *RWMutex) abandon() error {
	if !rw.writing.CompareAndSwap(true, false) {
		return ErrNotHeld
	}
	return rw.turn.abandon()
}

// RLock waits until it holds the lock for reading, or until ctx is done. If the error is
// not nil, the caller does not hold it.
//
// Errors: ctx.Err(), even if the lock is free; ErrInconsistent (a writer died; call Lock
// to repair what it left), ErrNotRecoverable, ErrCorrupt, ErrClosed, ErrFault.
func (rw *RWMutex) RLock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if rw.readFree() {
		return nil
	}
	told, err := rw.turn.Lock(ctx)
	if err != nil {
		return err
	}
	return rw.readInTurn(told)
}

// TryRLock is RLock without waiting; it reports whether the caller holds the lock now.
func (rw *RWMutex) TryRLock() (bool, error) {
	if rw.readFree() {
		return true, nil
	}
	locked, told, err := rw.turn.TryLock()
	if !locked || err != nil {
		return false, err
	}
	err = rw.readInTurn(told)
	return err == nil, err
}

// readFree takes a read lock if there is no writer. A reader counts itself before it looks
// for a writer, and a writer takes the turn before it looks for readers. So at least one
// of them sees the other.
func (rw *RWMutex) readFree() bool {
	s := rw.slot.Load()
	s.count.Add(1)
	if rw.turn.words.Load().lock.Load()&(ownerMask|abandoned) == 0 {
		rw.reading.Add(1)
		rw.turn.order.Acquire()
		return true
	}
	rw.leave(s)
	return false
}

// readInTurn takes a read lock while the caller holds the turn, and then releases the
// turn.
func (rw *RWMutex) readInTurn(told bool) error {
	told, err := rw.settle(told)
	if err == nil && told {
		err = ErrInconsistent
	}
	if err != nil {
		return critical.Join(err, rw.turn.unlockFailed())
	}
	rw.slot.Load().count.Add(1)
	rw.reading.Add(1)
	return rw.turn.Unlock()
}

// RUnlock ends an RLock. It returns ErrNotHeld if there is none through this RWMutex.
func (rw *RWMutex) RUnlock() error {
	for {
		n := rw.reading.Load()
		if n <= 0 {
			return rw.closedOr(ErrNotHeld)
		}
		if rw.reading.CompareAndSwap(n, n-1) {
			break
		}
	}
	rw.turn.order.Release()
	rw.leave(rw.slot.Load())
	return nil
}

// leave ends a read lock. If it was the last one of the slot, it wakes a waiting writer.
func (rw *RWMutex) leave(s *readerSlot) {
	if s.count.Add(^uint64(0)) == 0 && rw.words.draining.Load() != 0 {
		rw.words.drained.Add(1)
		futex.Wake(futexWord(&rw.words.drained), 1)
	}
}

// RWith calls f with the lock held for reading, and unlocks. Errors: those of RLock, f and
// RUnlock.
func (rw *RWMutex) RWith(ctx context.Context, f func() error) (err error) {
	if err := rw.RLock(ctx); err != nil {
		return err
	}
	defer func() { err = critical.Join(err, rw.RUnlock()) }()
	return f()
}

// Close ends the use of the lock through this RWMutex, as Mutex.Close does.
func (rw *RWMutex) Close() error {
	if rw.reading.Load() != 0 || rw.writing.Load() {
		return ErrBusy
	}
	return rw.turn.close(func() {
		s := rw.slot.Load()
		rw.slot.Store(new(readerSlot))
		rw.words = new(rwWords)
		s.owner.CompareAndSwap(rw.turn.self>>ownerShift, 0)
	})
}
