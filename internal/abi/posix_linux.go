package abi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// More error numbers that package posix checks for.
const (
	EBUSY        = unix.EBUSY
	EMFILE       = unix.EMFILE
	EMSGSIZE     = unix.EMSGSIZE
	ENAMETOOLONG = unix.ENAMETOOLONG
	EOVERFLOW    = unix.EOVERFLOW
	ETIMEDOUT    = unix.ETIMEDOUT
)

// OCloexec is O_CLOEXEC.
const OCloexec = unix.O_CLOEXEC

// mqAttr is the kernel's struct mq_attr, which consists of C longs.
type mqAttr struct {
	flags, maxMsg, msgSize, curMsgs int
	_                               [4]int
}

// mqName returns name, which has no slash, in the form that the kernel expects. In memory,
// a slash precedes the name, as it does if C code passes a name with a slash; qemu-user
// relies on that.
func mqName(name string) (unsafe.Pointer, Errno) {
	p, err := unix.BytePtrFromString("/" + name)
	if err != nil {
		return nil, EINVAL
	}
	return unsafe.Add(unsafe.Pointer(p), 1), 0
}

// MqOpen is mq_open(2). attr may be nil.
func MqOpen(name string, flags int, mode uint32, attr *MqAttr) (int, Errno) {
	p, e := mqName(name)
	if e != 0 {
		return -1, e
	}
	var raw *mqAttr
	if attr != nil {
		raw = &mqAttr{maxMsg: attr.MaxMsg, msgSize: attr.MsgSize}
	}
	fd, _, e := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(p), uintptr(flags), uintptr(mode), uintptr(unsafe.Pointer(raw)), 0, 0)
	return int(fd), e
}

// MqUnlink is mq_unlink(2).
func MqUnlink(name string) Errno {
	p, e := mqName(name)
	if e != 0 {
		return e
	}
	_, _, e = unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(p), 0, 0)
	return e
}

// MqGetattr is mq_getsetattr(2) that sets nothing.
func MqGetattr(fd uintptr) (MqAttr, Errno) {
	var raw mqAttr
	_, _, e := unix.RawSyscall(unix.SYS_MQ_GETSETATTR, fd, 0, uintptr(unsafe.Pointer(&raw)))
	return MqAttr{raw.flags, raw.maxMsg, raw.msgSize, raw.curMsgs}, e
}

// MqTimedsend is mq_timedsend(2). It may sleep until d. The kernel restarts it after a
// signal.
func MqTimedsend(fd uintptr, msg []byte, prio uint32, d *Deadline) Errno {
	return mqTimedsend(fd, unsafe.Pointer(unsafe.SliceData(msg)), len(msg), prio, d)
}

// MqTimedreceive is mq_timedreceive(2). It may sleep until d. The kernel restarts it after
// a signal. It returns the length of the message and its priority.
func MqTimedreceive(fd uintptr, buf []byte, d *Deadline) (n int, prio uint32, e Errno) {
	n, e = mqTimedreceive(fd, unsafe.Pointer(unsafe.SliceData(buf)), len(buf), &prio, d)
	return n, prio, e
}

// The kernel does not sleep if the deadline has passed. So a queue can be tried without
// blocking, however it was opened.

// TryMqTimedsend is mq_timedsend(2), but returns ETIMEDOUT instead of sleeping.
func TryMqTimedsend(fd uintptr, msg []byte, prio uint32) Errno {
	return rawMqTimedsend(fd, unsafe.Pointer(unsafe.SliceData(msg)), len(msg), prio, new(Deadline))
}

// TryMqTimedreceive is mq_timedreceive(2), but returns ETIMEDOUT instead of sleeping.
func TryMqTimedreceive(fd uintptr, buf []byte) (n int, prio uint32, e Errno) {
	n, e = rawMqTimedreceive(fd, unsafe.Pointer(unsafe.SliceData(buf)), len(buf), &prio, new(Deadline))
	return n, prio, e
}

// Events that Poll waits for.
const (
	PollIn  = unix.POLLIN
	PollOut = unix.POLLOUT
)

// Poll is poll(2) for one descriptor. It sleeps until one of events occurs.
func Poll(fd uintptr, events int16) Errno {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	return poll(&fds[0], len(fds))
}
