package abi

import (
	"math"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations, and the mask that matches every wake-up, from linux/futex.h.
const (
	futexWake       = 1
	futexWaitBitset = 9
	matchAny        = math.MaxUint32
)

// FutexWait is futex(2) with FUTEX_WAIT_BITSET, which sleeps until a time of
// CLOCK_MONOTONIC.
func FutexWait(addr *uint32, val uint32, d *Deadline) Errno {
	return futex(addr, futexWaitBitset, val, d, matchAny)
}

// FutexWake is futex(2) with FUTEX_WAKE, which never sleeps. It returns the number of
// threads that it woke.
func FutexWake(addr *uint32, n int) (int, Errno) {
	return rawFutex(addr, futexWake, uint32(min(n, math.MaxInt32)))
}

// MostWaiters is how many words FutexWaitv takes at most: FUTEX_WAITV_MAX.
const MostWaiters = 128

// A FutexWaiter is a struct futex_waitv, on every architecture: a word, and the value with
// which to sleep on it.
type FutexWaiter struct {
	val   uint64
	addr  uint64
	flags uint32
	_     uint32
}

const futexSize32 = 2 // FUTEX2_SIZE_U32; without FUTEX2_PRIVATE, processes share the word

// Set makes f wait for the word at addr to differ from val. The caller keeps the word in
// memory.
func (f *FutexWaiter) Set(addr *uint32, val uint32) {
	*f = FutexWaiter{val: uint64(val), addr: uint64(uintptr(unsafe.Pointer(addr))), flags: futexSize32}
}

// FutexWaitv is futex_waitv(2), since Linux 5.16: it sleeps on all words at a time, until a
// time of CLOCK_MONOTONIC. After a signal, the kernel restarts it and reads the time again.
// The time has 64 bits on every architecture.
func FutexWaitv(all []FutexWaiter, d *Deadline) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(unsafe.SliceData(all))), uintptr(len(all)), 0,
		uintptr(unsafe.Pointer(&d.sec)), unix.CLOCK_MONOTONIC, 0)
	return e
}

// Monotonic returns the time of CLOCK_MONOTONIC.
func Monotonic() (sec, nsec int64, e Errno) {
	var now [2]int64
	e = clock(unix.CLOCK_MONOTONIC, &now)
	return now[0], now[1], e
}
