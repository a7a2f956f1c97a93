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

// A hold connects a mapping and the semaphores in it. It tells semaphores that the mapping
// is gone, and the mapping that a goroutine waits for a semaphore.
//
// An operation on a semaphore takes a few nanoseconds, too few to count operations in and
// out. So release may run during an operation.
type hold struct {
	waiters atomic.Int32 // goroutines in a wait; below 0 if the mapping is gone
	mu      sync.Mutex
	// pages holds the offsets of the pages with semaphores, in order.
	//
	// The slice holds a pointer. Go may put small variables without pointers into one
	// allocation, and the hold would then live as long as any of them.
	pages []int
}

const gone = math.MinInt32

// ended reports whether the mapping is gone or about to go.
func (h *hold) ended() bool { return h.waiters.Load() < 0 }

// enter counts a waiter in. It returns false if the mapping is gone.
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

// keep records that there is a semaphore at an offset.
func (h *hold) keep(off, page int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	off -= off % page
	if i, found := slices.BinarySearch(h.pages, off); !found {
		h.pages = slices.Insert(h.pages, i, off)
	}
}

// release unmaps the memory, unless a goroutine waits in it. Pages with semaphores are
// replaced by zeros until no goroutine can be inside an operation on one of them. Such an
// operation finds a semaphore that is not available, or adds to one that no other process
// sees, and learns that the memory is gone.
//
// The memory counts as gone as soon as a part of it is. If unmapping a part would split a
// mapping and no further mapping is allowed, the part is unmapped together with the zeros.
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
		_ = munmap(mem) // nothing uses it any more
	}
}

// A part of a mapping consists either of pages with semaphores or of pages without.
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

// parts divides mem, whose length is a multiple of page.
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
