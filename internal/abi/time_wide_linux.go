//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package abi

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Deadline is a time in memory that the kernel reads. The zero Deadline has passed.
type Deadline struct{ sec, nsec atomic.Int64 }

// Set sets the time.
func (d *Deadline) Set(sec, nsec int64) {
	d.sec.Store(sec)
	d.nsec.Store(nsec)
}

// Expire moves the deadline into the past, even while the kernel reads it.
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

func futex(addr *uint32, op int, val uint32, d *Deadline, mask uint32) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), uintptr(op), uintptr(val), uintptr(unsafe.Pointer(d)), 0, uintptr(mask))
	return e
}

func rawFutex(addr *uint32, op int, val uint32) (int, Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), uintptr(op), uintptr(val), 0, 0, 0)
	return int(n), e
}

func poll(fds *unix.PollFd, n int) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(fds)), uintptr(n), 0, 0, 0, 0)
	return e
}

func clock(id int, now *[2]int64) Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(now)), 0)
	return e
}
