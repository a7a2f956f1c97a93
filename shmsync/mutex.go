package shmsync

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/critical"
	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/lifeline"
	"github.com/sysvipc/gipc/internal/order"
)

// Errors of locks and conditions.
var (
	// ErrNotHeld means that the lock is not locked through this value.
	ErrNotHeld = errors.New("lock is not held")
	// ErrNotRecoverable means that a holder that was told of a death unlocked without
	// MarkConsistent. Nobody can lock any more. To start again, fill the memory of the
	// lock with zeros while no process uses it.
	ErrNotRecoverable = errors.New("state that the lock protects is not recoverable")
	// ErrCorrupt means that another process has written impossible values into the lock.
	// The lock can't be used any more.
	ErrCorrupt = errors.New("lock is corrupt")
	// ErrBusy means that the lock is held, or waited for, through this value; or that 62
	// RWMutex values are open for one lock.
	ErrBusy = errors.New("lock is in use")
	// ErrClosed means that the value is closed.
	ErrClosed = errors.New("lock is closed")
	// ErrInconsistent means that a holder died and nobody has called MarkConsistent since.
	// The call did nothing.
	ErrInconsistent = errors.New("holder died and nobody has marked the state consistent")
)

// A Mutex is a lock between processes, and between the goroutines of each. Lock and
// Unlock may come from different goroutines, but through the same Mutex. A Mutex is not
// recursive. If a process has several Mutex values for one lock, the race detector does
// not see that they order accesses.
//
// If nobody else uses the lock, Lock, TryLock and Unlock make no system call and allocate
// nothing. They access the memory without protection: if its object was truncated, that
// may end the program.
type Mutex struct {
	words   atomic.Pointer[words] // a private copy once closed
	self    uint64                // the ticket, as it is in the lock word
	line    lifeline.Line
	release func() // unpins the memory
	waiters atomic.Int32
	spin    bool
	budget  atomic.Uint32 // how long to spin
	order   order.Edge
	// run is how often the lock was released while a woken waiter kept waiting. Only the
	// holder may access it.
	run int
}

// Lock waits for the lock, or until ctx is done. If the error is not nil, the caller does
// not hold it. Otherwise it does, and abandoned reports whether the previous holder died:
// what the lock protects may be half changed. Repair it and call MarkConsistent before
// Unlock.
//
// Errors: ctx.Err(), even if the lock is free; ErrNotRecoverable, ErrCorrupt, ErrClosed,
// ErrFault.
func (m *Mutex) Lock(ctx context.Context) (abandoned bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if m.takeFree() {
		return false, nil
	}
	return m.lockSlow(ctx)
}

// TryLock is Lock without waiting; it reports whether the caller holds the lock now. If
// the lock is held, it checks at once whether the holder is alive, which takes a system
// call.
func (m *Mutex) TryLock() (locked, abandoned bool, err error) {
	if m.takeFree() {
		return true, false, nil
	}
	return m.trySlow()
}

// crowded masks the bits of the lock word that are set if others wait.
const crowded = sleepers | woken

// takeFree locks if the lock is free, is not reserved, and its last holder did not die.
func (m *Mutex) takeFree() bool {
	lock := &m.words.Load().lock
	v := lock.Load()
	if v&^crowded != 0 || !lock.CompareAndSwap(v, v|m.self) {
		return false
	}
	m.order.Acquire()
	return true
}

// Unlock releases the lock. It returns ErrNotHeld if the lock is not held through this
// Mutex. If Lock returned abandoned and MarkConsistent has not been called since, Unlock
// makes the lock not recoverable.
func (m *Mutex) Unlock() error {
	lock := &m.words.Load().lock
	v := lock.Load()
	if v == m.self && m.replace(lock, v, 0) {
		return nil
	}
	// If a waiter is awake already, and has not waited for too long, do not wake another.
	if v&^sleepers == m.self|woken && m.run < longestRun {
		m.run++
		if m.replace(lock, v, v&crowded) {
			return nil
		}
	}
	return m.unlockSlow(spoil)
}

// replace releases the lock if its word is v, and reports whether it did. Afterwards the
// caller must not touch anything that belongs to the holder.
func (m *Mutex) replace(lock *atomic.Uint64, v, next uint64) bool {
	m.order.Release()
	return lock.CompareAndSwap(v, next)
}

// MarkConsistent declares that the state that a dead holder left has been repaired. It
// does nothing if nobody died, and returns ErrNotHeld if the caller does not hold the
// lock.
func (m *Mutex) MarkConsistent() error {
	lock := &m.words.Load().lock
	for {
		v := lock.Load()
		switch {
		case v&ownerMask != m.self:
			return ErrNotHeld
		case v&abandoned == 0 || lock.CompareAndSwap(v, v&^abandoned):
			return nil
		}
	}
}

// With calls f with the lock held, and unlocks. abandoned has the same meaning as in Lock.
// If f returns nil, the state counts as repaired. If f was told abandoned and returns an
// error, or if f panics, the next holder is told that its predecessor died. Errors: those
// of Lock, f and Unlock.
func (m *Mutex) With(ctx context.Context, f func(abandoned bool) error) error {
	told, err := m.Lock(ctx)
	if err != nil {
		return err
	}
	return critical.Run(func() error { return f(told) }, m.unlockClean, m.unlockFailed, m.abandon)
}

// unlockClean unlocks after what the lock protects has been repaired.
func (m *Mutex) unlockClean() error {
	if err := m.MarkConsistent(); err != nil {
		return err
	}
	return m.Unlock()
}

// unlockFailed unlocks. If a death was not repaired, the next holder is told of it, too.
func (m *Mutex) unlockFailed() error { return m.unlockSlow(keep) }

// abandon releases the lock as if its holder had died.
func (m *Mutex) abandon() error {
	lock := &m.words.Load().lock
	for {
		v := lock.Load()
		if v&ownerMask != m.self {
			return ErrNotHeld
		}
		if lock.CompareAndSwap(v, v|abandoned) {
			return m.unlockSlow(keep)
		}
	}
}

// An afterDeath is what happens to a lock that is unlocked after a death without
// MarkConsistent.
type afterDeath int

const (
	spoil afterDeath = iota // it is not recoverable
	keep                    // the next holder is told too
)

func (m *Mutex) unlockSlow(k afterDeath) error {
	w := m.words.Load()
	for {
		v := w.lock.Load()
		if v&ownerMask != m.self {
			if m.waiters.Load() < 0 {
				return ErrClosed
			}
			return ErrNotHeld
		}
		next, wake := v&(sleepers|woken|abandoned), 0
		run := m.run
		switch {
		case v&abandoned != 0 && k == spoil:
			next, wake = spoiled, futex.All
		case v&handOver != 0 || v&woken != 0 && run >= longestRun:
			next, wake, m.run = reserved|woken|v&abandoned, 1, 0
		case v&sleepers != 0 && v&woken == 0:
			next, wake = woken|v&abandoned, 1
		}
		if !m.replace(&w.lock, v, next) {
			m.run = run // the lock is still held
			continue
		}
		if wake > 0 {
			w.wake(wake)
		}
		return nil
	}
}

// wake wakes n sleepers, as the lock word already says. Sleepers that were woken in vain
// before come first. If nobody sleeps, wake changes the word back.
func (w *words) wake(n int) {
	for {
		w.call.Add(1)
		if n -= futex.Wake(futexWord(&w.call), n); n == 0 {
			return
		}
		w.turn.Add(1)
		if futex.Wake(futexWord(&w.turn), n) > 0 || !w.settle() {
			return
		}
	}
}

// settle changes the word to say that nobody has been woken. It returns true if a waiter
// has gone to sleep meanwhile and must still be woken.
func (w *words) settle() (again bool) {
	for {
		v := w.lock.Load()
		next := v &^ woken
		switch {
		case v&woken == 0:
			return false
		case v&ownerMask != 0: // the holder wakes a waiter at Unlock
		case v&sleepers != 0:
			next, again = v&^sleepers, true
		default:
			next = v &^ (woken | reserved)
		}
		if w.lock.CompareAndSwap(v, next) {
			return again
		}
		again = false
	}
}

// Close ends the use of the lock through this Mutex: it unpins the memory and closes the
// descriptor. The error is ErrBusy while the lock is held, or a goroutine waits for it,
// through this Mutex. No other method may be called at the same time.
func (m *Mutex) Close() error { return m.close(func() {}) }

// close calls last before it unpins the memory and closes the descriptor.
func (m *Mutex) close(last func()) error {
	if m.words.Load().lock.Load()&ownerMask == m.self {
		return ErrBusy
	}
	if !m.waiters.CompareAndSwap(0, math.MinInt32) {
		if m.waiters.Load() < 0 {
			return ErrClosed
		}
		return ErrBusy
	}
	gone := new(words)
	gone.lock.Store(spoiled)
	m.words.Store(gone)
	last()
	m.line.Close()
	m.release()
	return nil
}

// enter counts a waiter in. It returns false if the Mutex is closed.
func (m *Mutex) enter() bool {
	for {
		n := m.waiters.Load()
		if n < 0 {
			return false
		}
		if m.waiters.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (m *Mutex) leave() { m.waiters.Add(-1) }
