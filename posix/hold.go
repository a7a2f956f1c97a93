package posix

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/abi"
)

// A hold is what a mapping and the semaphores in it have in common: it tells these
// that the mapping is gone, and the mapping that one of them is waited for.
//
// An operation on a semaphore takes a few nanoseconds. It can not afford to count
// itself in and out, so release may come while one is under way.
type hold struct {
	waiters    atomic.Int32 // goroutines in a wait, or gone
	semaphores atomic.Bool  // whether there are any
}

const gone = math.MinInt32

// ended tells whether the mapping is gone.
func (h *hold) ended() bool { return h.waiters.Load() < 0 }

// enter counts a waiter in, false if the mapping is gone.
func (h *hold) enter() bool {
	for {
		n := h.waiters.Load()
		if n < 0 {
			return false
		}
		if h.waiters.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *hold) leave() { h.waiters.Add(-1) }

// release unmaps the memory, unless somebody waits in it. If there are semaphores
// zeros take its place until no goroutine can be within one of them any more: it
// finds a semaphore that is not available, and that it is gone.
func (h *hold) release(mem []byte) error {
	if !h.waiters.CompareAndSwap(0, gone) {
		return fmt.Errorf("%w: a semaphore in it is waited for", abi.EBUSY)
	}
	if !h.semaphores.Load() {
		if err := munmap(mem); err != nil {
			h.waiters.Store(0)
			return err
		}
		return nil
	}
	if err := replace(mem); err != nil {
		h.waiters.Store(0)
		return err
	}
	runtime.AddCleanup(h, func(zeros []byte) { _ = munmap(zeros) }, mem)
	return nil
}
