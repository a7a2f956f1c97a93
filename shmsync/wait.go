package shmsync

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/internal/spin"
)

const (
	// tick is how long a waiter sleeps before it checks whether the holder is alive.
	tick = 100 * time.Millisecond
	// slice is how long a process that unlocks and locks again goes ahead of sleepers.
	slice = time.Millisecond
	// longestRun is how often it may do so.
	longestRun = 1 << 16
	// glance is how long a waiter that was woken in vain sleeps between two looks at the
	// lock.
	glance = 200 * time.Microsecond
	// idle is how long a lock must stay free to count as unused, in units of spin.Pause.
	idle = 32
)

// Bounds of the spin, and the longest pause between two looks, in units of spin.Pause.
const (
	spinLeast = 8
	spinMost  = 512
	pauseMost = 64
)

// A rank decides which free locks a try may take.
type rank int

const (
	arrived rank = iota // a lock that is not reserved for waiters that have slept
	slept               // a reserved lock, too
	trying              // a reserved lock, too, without having slept
)

// take tries to lock. If it can't, it returns the lock word.
func (m *Mutex) take(w *words, r rank) (v uint64, ok bool) {
	for {
		v = w.lock.Load()
		if v&ownerMask != 0 || v&reserved != 0 && r == arrived {
			return v, false
		}
		next := m.self | v&(sleepers|woken|abandoned)
		if r == slept {
			next = m.self | sleepers | v&abandoned // there may be other sleepers
		}
		if w.lock.CompareAndSwap(v, next) {
			m.order.Acquire()
			return next, true
		}
	}
}

// inherit locks if the holder in the lock word v is dead.
func (m *Mutex) inherit(w *words, v uint64) (bool, error) {
	for {
		owner := v & ownerMask
		if owner == 0 || owner == m.self {
			return false, nil
		}
		if err := w.sane(v); err != nil {
			return false, err
		}
		// No ticket is drawn twice. So if the word still has this one after the check, its
		// owner held the lock when it died.
		if m.line.Held(int64(owner >> ownerShift)) {
			return false, nil
		}
		if w.lock.CompareAndSwap(v, m.self|sleepers|abandoned) {
			m.order.Acquire()
			return true, nil
		}
		v = w.lock.Load()
	}
}

// sane returns an error if v is the word of a lock that nobody can get any more.
func (w *words) sane(v uint64) error {
	owner := v & ownerMask
	switch {
	case owner == spoiled:
		return ErrNotRecoverable
	case owner != 0 && (v&reserved != 0 || !w.drawn(owner)):
		return fmt.Errorf("shmsync: %w", corrupt("lock word", v))
	case w.magic.Load() != magic:
		return fmt.Errorf("shmsync: %w", corrupt("magic", w.magic.Load()))
	}
	return nil
}

func (m *Mutex) trySlow() (locked, told bool, err error) {
	if !m.enter() {
		return false, false, ErrClosed
	}
	defer m.leave()
	w := m.words.Load()
	v, ok := m.take(w, trying)
	if ok {
		return true, v&abandoned != 0, nil
	}
	ok, err = m.inherit(w, v)
	return ok, ok, err
}

func (m *Mutex) lockSlow(ctx context.Context) (told bool, err error) {
	if !m.enter() {
		return false, ErrClosed
	}
	defer m.leave()
	w := m.words.Load()
	v, ok := m.take(w, arrived)
	if !ok {
		v, ok = m.takeSpinning(w)
	}
	if ok {
		return v&abandoned != 0, nil
	}
	if v&ownerMask == m.self {
		runtime.Gosched() // the holder may need this processor
	}
	wait := waiter{m: m, w: w, rank: arrived}
	fault := memory.Guard(func() error {
		told, err = wait.sleep(ctx)
		return nil
	})
	if fault != nil {
		return false, fmt.Errorf("shmsync: %w", fault)
	}
	return told, err
}

// takeSpinning retries for as long as that has paid off lately, but not if others wait
// already: another running thread would only slow the holder down.
func (m *Mutex) takeSpinning(w *words) (v uint64, ok bool) {
	v = w.lock.Load()
	if !m.spin || v&crowded != 0 {
		return v, false
	}
	budget := m.budget.Load()
	for spent, pause := uint32(0), uint32(1); spent < budget; pause = min(2*pause, pauseMost) {
		spin.Pause(pause)
		spent += pause
		if v, ok = m.take(w, arrived); ok {
			m.budget.Store(min(2*budget, spinMost))
			return v, true
		}
		if v&crowded != 0 || v&ownerMask == spoiled {
			return v, false
		}
	}
	m.budget.Store(max(budget/2, spinLeast))
	return v, false
}

// A waiter is a Lock that sleeps.
type waiter struct {
	m    *Mutex
	w    *words
	rank rank
	// eager is set if this waiter was woken and now watches the lock. As long as the word
	// has the bit woken, Unlock wakes nobody else.
	eager bool
}

func (s *waiter) sleep(ctx context.Context) (told bool, err error) {
	for {
		if s.eager {
			s.watch()
		}
		v, ok := s.m.take(s.w, s.rank)
		if ok {
			if s.rank == slept {
				s.w.since.Store(monotonic())
			}
			return v&abandoned != 0, nil
		}
		if err := s.w.sane(v); err != nil {
			return false, err
		}
		word := &s.w.turn
		if s.eager {
			word = &s.w.call
		}
		turn := word.Load()
		next, timeout := s.plan(v)
		if !s.w.lock.CompareAndSwap(v, next) {
			continue
		}
		err := futex.Wait(ctx, futexWord(word), turn, timeout)
		s.rank = slept
		switch {
		case err == nil:
			s.eager = true
		case !errors.Is(err, futex.ErrTimeout):
			s.pass()
			return false, err
		case timeout == tick:
			if ok, err := s.m.inherit(s.w, s.w.lock.Load()); ok || err != nil {
				return ok, err
			}
		}
	}
}

// watch returns when the lock has been free for a moment, or is held or reserved. Without
// it, a woken waiter would take the lock between two uses by a process whose slice is not
// over.
func (s *waiter) watch() {
	for range idle {
		if v := s.w.lock.Load(); v&ownerMask != 0 || v&reserved != 0 {
			return
		}
		spin.Pause(1)
	}
}

// plan returns the lock word to set before a waiter sleeps, and how long it may sleep. A
// waiter that was woken in vain sleeps for short parts of the slice. When the slice is
// over, it asks the holder to reserve the lock. Other waiters sleep until they are woken.
// If the waiter that was woken last has died, the first of them whose tick is over clears
// the bit woken.
func (s *waiter) plan(v uint64) (next uint64, timeout time.Duration) {
	switch {
	case v&ownerMask == 0: // reserved
		return v | sleepers, tick
	case !s.eager && s.rank == slept:
		return (v | sleepers) &^ woken, tick
	case !s.eager:
		return v | sleepers, tick
	}
	// A time that was stored in another time namespace ends the slice at once.
	if used := monotonic() - s.w.since.Load(); used < uint64(slice) {
		return v | woken, min(glance, slice-time.Duration(used))
	}
	return (v | sleepers | handOver) &^ woken, tick
}

// pass lets another waiter be woken, because the waiter that leaves may have been woken.
func (s *waiter) pass() {
	for {
		v := s.w.lock.Load()
		next := (v | sleepers) &^ woken
		free := v&ownerMask == 0
		if free {
			next = v&^sleepers | woken
		}
		if v&ownerMask == spoiled {
			return
		}
		if s.w.lock.CompareAndSwap(v, next) {
			if free {
				s.w.wake(1)
			}
			return
		}
	}
}
