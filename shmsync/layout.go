package shmsync

import (
	"sync/atomic"
	"unsafe"
)

// Size is how many bytes of memory a Mutex takes. It begins at a multiple of that.
const Size = 64

const (
	magic   = 0x7874_756d_6370_6967 // "gipcmutx" in the memory of a little-endian machine
	version = 1

	// firstLock is the byte of ticket 0 in the file with the kernel's locks. Those of the
	// rings of package shmring are below.
	firstLock = 1 << 62
)

// Values of the low half of words.death.
const (
	byFile      = 1
	byNamespace = 2
)

// The lock word. The package's documentation explains them.
const (
	sleepers  = 1 << 0
	woken     = 1 << 1
	handOver  = 1 << 2
	reserved  = 1 << 3
	abandoned = 1 << 4

	ownerShift = 5
	ownerMask  = 1<<64 - 1<<ownerShift

	// spoiled is the owner of a lock that is not recoverable.
	spoiled = ownerMask
)

// Tickets begin between these. Their number is far from what the word can hold, so that
// counting up never gets there.
const (
	leastTicket = 1 << 32
	mostTicket  = 1 << 58
	allTickets  = 1 << 40 // more than are ever drawn
)

// words is the layout. Everything is accessed atomically, since another process may write
// anything at any time.
type words struct {
	magic    atomic.Uint64 // 0, written last
	version  atomic.Uint32 // 8
	required atomic.Uint32 // 12
	id       atomic.Uint64 // 16
	death    atomic.Uint64 // 24
	lock     atomic.Uint64 // 32
	tickets  atomic.Uint64 // 40
	since    atomic.Uint64 // 48
	turn     atomic.Uint32 // 56
	call     atomic.Uint32 // 60
}

var _ [Size]byte = [unsafe.Sizeof(words{})]byte{}

// wordsAt returns the words at an offset of mem where there are Size bytes, or nil if they
// are not aligned.
func wordsAt(mem []byte, off int) *words {
	p := unsafe.Pointer(&mem[off : off+Size][0])
	if uintptr(p)%Size != 0 {
		return nil
	}
	return (*words)(p)
}

// idAddress returns the address of the random number.
func (w *words) idAddress() uint64 { return uint64(uintptr(unsafe.Pointer(&w.id))) }

// futexWord returns the address of the word itself for futex(2).
func futexWord(w *atomic.Uint32) *uint32 { return (*uint32)(unsafe.Pointer(w)) }

// drawn reports whether the ticket of an owner is one that was given out.
func (w *words) drawn(owner uint64) bool {
	last := w.tickets.Load()
	return last-owner>>ownerShift < allTickets
}
