package shmsync

import "github.com/sysvipc/gipc/internal/abi"

// monotonic returns the nanoseconds of CLOCK_MONOTONIC, which processes share.
func monotonic() uint64 {
	sec, nsec, _ := abi.Monotonic()
	return uint64(sec)*1e9 + uint64(nsec)
}
