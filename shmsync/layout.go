package shmsync

import (
	"sync/atomic"
	"unsafe"
)

// Sizes of locks and conditions in bytes. Each begins at a multiple of 64.
const (
	MutexSize   = 64
	RWMutexSize = 128 + readerSlots*64
	CondSize    = 64

	alignment = 64
)

const (
	magic   = 0x7874_756d_6370_6967 // "gipcmutx" in the memory of a little-endian machine
	version = 1

	// firstLock is the byte of ticket 0 in the file with the kernel's locks. The locks for
	// the rings of package shmring are below it.
	firstLock = 1 << 62
)

// Values of the low half of words.death.
const (
	byFile      = 1
	byNamespace = 2
)

// Bits of the lock word. The package documentation explains them.
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

// The first ticket is between these. Both are far below the largest ticket that the lock
// word can hold, so counting up never gets there.
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

// Features that a process must know.
const featureRW = 1 << 0 // the lock of an RWMutex

// readerSlots is how many RWMutex values can be open for a lock at a time.
const readerSlots = 62

// rwWords is the layout of an RWMutex.
type rwWords struct {
	mutex words // between writers

	exclusive atomic.Uint64 // 64, not 0 while a writer may change what the lock protects
	drained   atomic.Uint32 // 72, the futex of a writer that waits for readers
	draining  atomic.Uint32 // 76, 1 while a writer waits there
	_         [48]byte

	readers [readerSlots]readerSlot // 128
}

// A readerSlot belongs to an RWMutex value. Each slot has its own cache line.
type readerSlot struct {
	owner atomic.Uint64 // 0 or its ticket
	count atomic.Uint64 // its read locks
	_     [48]byte
}

// condWords is the layout of a Cond.
type condWords struct {
	magic    atomic.Uint64 // 0, written last
	version  atomic.Uint32 // 8
	required atomic.Uint32 // 12
	mutex    atomic.Uint64 // 16, the random number of the mutex
	waiting  atomic.Uint64 // 24, not 0 if somebody may sleep
	turn     atomic.Uint32 // 32, the futex, counted up by Signal and Broadcast
	_        [28]byte
}

const condMagic = 0x646e_6f63_6370_6967 // "gipccond" in the memory of a little-endian machine

var (
	_ [MutexSize]byte   = [unsafe.Sizeof(words{})]byte{}
	_ [RWMutexSize]byte = [unsafe.Sizeof(rwWords{})]byte{}
	_ [CondSize]byte    = [unsafe.Sizeof(condWords{})]byte{}
)

func sizeOf[T words | rwWords | condWords]() int { return int(unsafe.Sizeof(*new(T))) }

// at returns the T at an offset of mem, which must be within it, or nil if it is not
// aligned.
func at[T words | rwWords | condWords](mem []byte, off int) *T {
	p := unsafe.Pointer(&mem[off])
	if uintptr(p)%alignment != 0 {
		return nil
	}
	return (*T)(p)
}

// idAddress returns the address of the random number.
func (w *words) idAddress() uint64 { return uint64(uintptr(unsafe.Pointer(&w.id))) }

// futexWord returns the address of the word itself for futex(2).
func futexWord(w *atomic.Uint32) *uint32 { return (*uint32)(unsafe.Pointer(w)) }

// drawn reports whether the ticket of an owner was ever drawn.
func (w *words) drawn(owner uint64) bool {
	last := w.tickets.Load()
	return last-owner>>ownerShift < allTickets
}
