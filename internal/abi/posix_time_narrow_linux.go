//go:build linux && (386 || arm || mips || mipsle)

package abi

import (
	"math"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls that take a time have two numbers on 32-bit architectures: one for times of 64
// bits, known since Linux 5.1, and the original one, whose times end in 2038 and which
// newer kernels may be built without.

// A Deadline is a time of CLOCK_REALTIME in memory that the kernel reads, in both forms.
// The zero Deadline has passed.
type Deadline struct {
	sec, nsec     atomic.Int64
	sec32, nsec32 atomic.Int32
}

// NewDeadline returns the deadline t, which is not before 1970.
func NewDeadline(t time.Time) *Deadline {
	d := new(Deadline)
	d.sec.Store(t.Unix())
	d.nsec.Store(int64(t.Nanosecond()))
	d.sec32.Store(int32(min(t.Unix(), math.MaxInt32)))
	d.nsec32.Store(int32(t.Nanosecond()))
	return d
}

// Expire moves the deadline into the past, also while the kernel reads it. A kernel that
// reads one half before and one half after is signalled again, and reads it anew.
func (d *Deadline) Expire() {
	d.sec.Store(0)
	d.sec32.Store(0)
}

func mqTimedsend(fd uintptr, msg unsafe.Pointer, n int, prio uint32, d *Deadline) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDSEND_TIME64, fd, uintptr(msg), uintptr(n), uintptr(prio), uintptr(unsafe.Pointer(&d.sec)), 0)
	if e == ENOSYS {
		_, _, e = syscall.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(msg), uintptr(n), uintptr(prio), uintptr(unsafe.Pointer(&d.sec32)), 0)
	}
	return e
}

func mqTimedreceive(fd uintptr, buf unsafe.Pointer, n int, prio *uint32, d *Deadline) (int, Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE_TIME64, fd, uintptr(buf), uintptr(n), uintptr(unsafe.Pointer(prio)), uintptr(unsafe.Pointer(&d.sec)), 0)
	if e == ENOSYS {
		r, _, e = syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(buf), uintptr(n), uintptr(unsafe.Pointer(prio)), uintptr(unsafe.Pointer(&d.sec32)), 0)
	}
	return int(r), e
}

func rawMqTimedsend(fd uintptr, msg unsafe.Pointer, n int, prio uint32, d *Deadline) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_MQ_TIMEDSEND_TIME64, fd, uintptr(msg), uintptr(n), uintptr(prio), uintptr(unsafe.Pointer(&d.sec)), 0)
	if e == ENOSYS {
		_, _, e = syscall.RawSyscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(msg), uintptr(n), uintptr(prio), uintptr(unsafe.Pointer(&d.sec32)), 0)
	}
	return e
}

func rawMqTimedreceive(fd uintptr, buf unsafe.Pointer, n int, prio *uint32, d *Deadline) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_MQ_TIMEDRECEIVE_TIME64, fd, uintptr(buf), uintptr(n), uintptr(unsafe.Pointer(prio)), uintptr(unsafe.Pointer(&d.sec)), 0)
	if e == ENOSYS {
		r, _, e = syscall.RawSyscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(buf), uintptr(n), uintptr(unsafe.Pointer(prio)), uintptr(unsafe.Pointer(&d.sec32)), 0)
	}
	return int(r), e
}
