//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package abi

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	mqSend    = unix.SYS_MQ_TIMEDSEND
	mqReceive = unix.SYS_MQ_TIMEDRECEIVE
)

// withDeadline calls do with the address of deadline as the kernel wants it.
func withDeadline(call uintptr, deadline time.Time, do func(call uintptr, deadline unsafe.Pointer) Errno) Errno {
	// Not by way of UnixNano, which ends in 2262: the longest Duration leads beyond.
	ts := unix.Timespec{Sec: deadline.Unix(), Nsec: int64(deadline.Nanosecond())}
	return do(call, unsafe.Pointer(&ts))
}
