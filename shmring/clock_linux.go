package shmring

import "github.com/sysvipc/gipc/internal/abi"

// monotonic returns the nanoseconds of CLOCK_MONOTONIC.
func monotonic() int64 {
	sec, nsec, _ := abi.Monotonic()
	return sec*1e9 + nsec
}
