//go:build linux && (386 || arm || mips || mipsle)

package abi

import (
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// On 32-bit architectures, calls that take a time have two numbers: one for 64-bit times,
// since Linux 5.1, and the original one, whose times end in 2038 and which newer kernels
// may lack.

// A Deadline is a time in memory that the kernel reads, in both forms. The zero Deadline
// has passed.
type Deadline struct {
	sec, nsec     atomic.Int64
	sec32, nsec32 atomic.Int32
}

// Set sets the time. The short form cannot go beyond 2038.
func (d *Deadline) Set(sec, nsec int64) {
	d.sec.Store(sec)
	d.nsec.Store(nsec)
	d.sec32.Store(int32(min(sec, math.MaxInt32)))
	d.nsec32.Store(int32(nsec))
}

// Expire moves the deadline into the past, even while the kernel reads it. If the kernel
// reads one half before and one half after, it is signalled again and reads both anew.
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

func futex(addr *uint32, op int, val uint32, d *Deadline, mask uint32) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FUTEX_TIME64, uintptr(unsafe.Pointer(addr)), uintptr(op), uintptr(val), uintptr(unsafe.Pointer(&d.sec)), 0, uintptr(mask))
	if e == ENOSYS {
		_, _, e = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), uintptr(op), uintptr(val), uintptr(unsafe.Pointer(&d.sec32)), 0, uintptr(mask))
	}
	return e
}

func rawFutex(addr *uint32, op int, val uint32) (int, Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_FUTEX_TIME64, uintptr(unsafe.Pointer(addr)), uintptr(op), uintptr(val), 0, 0, 0)
	if e == ENOSYS {
		n, _, e = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), uintptr(op), uintptr(val), 0, 0, 0)
	}
	return int(n), e
}

func poll(fds *unix.PollFd, n int) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_PPOLL_TIME64, uintptr(unsafe.Pointer(fds)), uintptr(n), 0, 0, 0, 0)
	if e == ENOSYS {
		_, _, e = syscall.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(fds)), uintptr(n), 0, 0, 0, 0)
	}
	return e
}

func clock(id int, now *[2]int64) Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME64, uintptr(id), uintptr(unsafe.Pointer(now)), 0)
	if e == ENOSYS {
		var ts unix.Timespec
		_, _, e = syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0)
		*now = [2]int64{int64(ts.Sec), int64(ts.Nsec)}
	}
	return e
}
