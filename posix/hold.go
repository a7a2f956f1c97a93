package posix

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/abi"
)

// A hold is what a mapping and the semaphores in it have in common: it tells these
// that the mapping is gone, and the mapping that one of them is waited for.
//
// An operation on a semaphore takes a few nanoseconds. It can't afford to count itself in
// and out, so release may come while one is under way.
type hold struct {
	waiters atomic.Int32 // goroutines in a wait, or gone
	mu      sync.Mutex
	// pages are the offsets of the pages that hold semaphores, in order.
	//
	// A hold without pointers might share a block with other small variables, and live as
	// long as one of these does.
	pages []int
}

const gone = math.MinInt32

// ended reports whether the mapping is gone, or on its way.
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

// keep says that there is a semaphore at an offset.
func (h *hold) keep(off, page int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	off -= off % page
	if i, found := slices.BinarySearch(h.pages, off); !found {
		h.pages = slices.Insert(h.pages, i, off)
	}
}

// release unmaps the memory, unless somebody waits in it. Zeros take the place of the
// pages with semaphores until no goroutine can be within one of them any more: that
// finds a semaphore which is not available, or adds to one that nobody else sees, and
// learns that it is gone.
//
// The memory is gone as soon as a part of it is. A part that can't be unmapped then, for
// want of a mapping to split it off, goes with the zeros.
func (h *hold) release(mem []byte, page int) error {
	if !h.waiters.CompareAndSwap(0, gone) {
		return fmt.Errorf("%w: a semaphore in it is waited for", abi.EBUSY)
	}
	var left [][]byte
	for i, part := range h.parts(mem, page) {
		err := part.release()
		if err != nil && i == 0 {
			h.waiters.Store(0)
			return err
		}
		if err != nil || part.semaphores {
			left = append(left, part.mem)
		}
	}
	if left != nil {
		runtime.AddCleanup(h, unmapAll, left)
	}
	return nil
}

func unmapAll(parts [][]byte) {
	for _, mem := range parts {
		_ = munmap(mem) // it is nobody's any more
	}
}

// A part of a mapping is pages with semaphores, or pages without.
type part struct {
	mem        []byte
	semaphores bool
}

func (p part) release() error {
	if p.semaphores {
		return replace(p.mem)
	}
	return munmap(p.mem)
}

// parts cuts mem, whose length is a multiple of page.
func (h *hold) parts(mem []byte, page int) (parts []part) {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := 0
	for i := 0; i < len(h.pages); {
		begin, end := h.pages[i], h.pages[i]
		for ; i < len(h.pages) && h.pages[i] == end; i++ {
			end += page
		}
		if begin > done {
			parts = append(parts, part{mem[done:begin], false})
		}
		parts = append(parts, part{mem[begin:end], true})
		done = end
	}
	if done < len(mem) {
		parts = append(parts, part{mem[done:], false})
	}
	return parts
}
