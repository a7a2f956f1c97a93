package shmsync

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
)

// A Cond lets processes and goroutines wait for a change of what a Mutex protects, without
// holding the mutex:
//
//	err := mu.With(ctx, func(abandoned bool) error {
//		...
//		for !ready() {
//			if abandoned, err := cond.Wait(ctx); abandoned || err != nil {
//				...
//			}
//		}
//	})
//
// Check the condition in a loop, as above: Wait may return without a signal. If a process
// is killed before it can act on its signal, all other waiters wake up within 0.1 s, so no
// signal is lost. Signal and Broadcast make a system call only if somebody waits.
type Cond struct {
	mu      *Mutex
	words   atomic.Pointer[condWords] // nil once closed
	release func()                    // unpins the memory
}

// NewCond returns the condition in the CondSize bytes at offset off of mem, a multiple of
// 64. Memory that is zero becomes a condition. All users of a condition must use the same
// lock for it. The Cond keeps mem mapped until Close; close it before the Mutex.
//
// Errors: ErrMismatch (it belongs to another lock); those of NewMutex.
func NewCond(mu *Mutex, mem Memory, off int) (*Cond, error) {
	c := &Cond{mu: mu}
	release, err := open(mem, off, c.join)
	if err != nil {
		return nil, err
	}
	c.release = release
	return c, nil
}

func (c *Cond) join(w *condWords) error {
	id := c.mu.words.Load().id.Load()
	if w.magic.Load() == 0 {
		if w.version.Load()|w.required.Load()|w.turn.Load() != 0 && w.version.Load() != version {
			return ErrNotLock
		}
		w.mutex.CompareAndSwap(0, id)
		w.version.CompareAndSwap(0, version)
		w.magic.CompareAndSwap(0, condMagic)
	}
	switch m := w.magic.Load(); {
	case m == bits.ReverseBytes64(condMagic):
		return fmt.Errorf("%w: it has the other byte order", ErrVersion)
	case m != condMagic:
		return ErrNotLock
	case w.version.Load() != version || w.required.Load() != 0:
		return fmt.Errorf("%w: %d, features %#x", ErrVersion, w.version.Load(), w.required.Load())
	case w.mutex.Load() != id:
		return ErrMismatch
	}
	c.words.Store(w)
	return nil
}

// Wait unlocks the mutex, which the caller must hold, and sleeps until there is a signal or
// ctx is done. Then it locks the mutex again, however long that takes. If ctx ended the
// wait, the error is ctx.Err(). The caller holds the mutex afterwards even if there is an
// error, except ErrNotHeld, ErrNotRecoverable, ErrCorrupt, ErrClosed and ErrFault.
// abandonedSince means the same as abandoned in Lock.
//
// A caller that was told abandoned must call MarkConsistent before it waits. Otherwise Wait
// returns ErrInconsistent and does nothing.
func (c *Cond) Wait(ctx context.Context) (abandonedSince bool, err error) {
	w := c.words.Load()
	if w == nil {
		return false, ErrClosed
	}
	switch v := c.mu.words.Load().lock.Load(); {
	case v&ownerMask != c.mu.self:
		return false, ErrNotHeld
	case v&abandoned != 0:
		return false, ErrInconsistent
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	fault := memory.Guard(func() error {
		turn := w.turn.Load()
		// The number is not 0, and differs for each turn; see wake.
		w.waiting.Store(uint64(turn)<<1 | 1)
		if err := c.mu.Unlock(); err != nil {
			return err
		}
		err = w.sleep(ctx, turn)
		return nil
	})
	if fault != nil {
		return false, fmt.Errorf("shmsync: %w", fault)
	}
	told, lockErr := c.mu.lockSlow(context.Background())
	if lockErr != nil {
		return false, lockErr
	}
	return told, err
}

// sleep sleeps until turn has passed. It looks at the word from time to time, in case
// nobody wakes it.
func (w *condWords) sleep(ctx context.Context, turn uint32) error {
	for w.turn.Load() == turn {
		err := futex.Wait(ctx, futexWord(&w.turn), turn, tick)
		if err != nil && !errors.Is(err, futex.ErrTimeout) {
			return err
		}
	}
	return nil
}

// Signal wakes one waiter, if there is any. It need not hold the mutex.
func (c *Cond) Signal() error { return c.wake(1) }

// Broadcast wakes all waiters. It need not hold the mutex.
func (c *Cond) Broadcast() error { return c.wake(futex.All) }

func (c *Cond) wake(n int) error {
	w := c.words.Load()
	if w == nil {
		return ErrClosed
	}
	fault := memory.Guard(func() error {
		waiting := w.waiting.Load()
		if waiting == 0 {
			return nil
		}
		w.turn.Add(1)
		if futex.Wake(futexWord(&w.turn), n) < n {
			// All earlier waiters are awake. A later waiter has stored another number.
			w.waiting.CompareAndSwap(waiting, 0)
		}
		return nil
	})
	if fault != nil {
		return fmt.Errorf("shmsync: %w", fault)
	}
	return nil
}

// Close unpins the memory. No other method may be called at the same time.
func (c *Cond) Close() error {
	if c.words.Swap(nil) == nil {
		return ErrClosed
	}
	c.release()
	return nil
}
