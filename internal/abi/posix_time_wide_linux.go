//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package abi

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Deadline is a time of CLOCK_REALTIME in memory that the kernel reads. The zero
// Deadline has passed.
type Deadline struct{ sec, nsec atomic.Int64 }

// NewDeadline returns the deadline t, which is not before 1970.
func NewDeadline(t time.Time) *Deadline {
	// Not by way of UnixNano, which ends in 2262: the longest Duration leads beyond.
	d := new(Deadline)
	d.sec.Store(t.Unix())
	d.nsec.Store(int64(t.Nanosecond()))
	return d
}

// Expire moves the deadline into the past, also while the kernel reads it.
func (d *Deadline) Expire() { d.sec.Store(0) }

func mqTimedsend(fd uintptr, msg unsafe.Pointer, n int, prio uint32, d *Deadline) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(msg), uintptr(n), uintptr(prio), uintptr(unsafe.Pointer(d)), 0)
	return e
}

func rawMqTimedsend(fd uintptr, msg unsafe.Pointer, n int, prio uint32, d *Deadline) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(msg), uintptr(n), uintptr(prio), uintptr(unsafe.Pointer(d)), 0)
	return e
}

func mqTimedreceive(fd uintptr, buf unsafe.Pointer, n int, prio *uint32, d *Deadline) (int, Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(buf), uintptr(n), uintptr(unsafe.Pointer(prio)), uintptr(unsafe.Pointer(d)), 0)
	return int(r), e
}

func rawMqTimedreceive(fd uintptr, buf unsafe.Pointer, n int, prio *uint32, d *Deadline) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(buf), uintptr(n), uintptr(unsafe.Pointer(prio)), uintptr(unsafe.Pointer(d)), 0)
	return int(r), e
}
