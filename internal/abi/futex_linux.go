package abi

import (
	"math"

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

// Monotonic returns the time of CLOCK_MONOTONIC.
func Monotonic() (sec, nsec int64, e Errno) {
	var now [2]int64
	e = clock(unix.CLOCK_MONOTONIC, &now)
	return now[0], now[1], e
}
