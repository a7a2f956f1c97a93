package tracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE |
	unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD

// ptrace makes a request that does not block. The thread that is traced may die at any time:
// then the error is ESRCH, and wait reports its end.
func ptrace(request, tid int, addr, data uintptr) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0); e != 0 {
		return e
	}
	return nil
}

// resume lets a stopped thread run on, and delivers a signal to it unless it is 0.
func resume(request, tid int, signal unix.Signal) error {
	return ptrace(request, tid, 0, uintptr(signal))
}

// eventMessage returns the message of a PTRACE_EVENT stop.
func eventMessage(tid int) (uint, error) {
	var message uint // unsigned long
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETEVENTMSG, uintptr(tid), 0, uintptr(unsafe.Pointer(&message)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return message, nil
}

// A syscallInfo is struct ptrace_syscall_info of Linux 5.3, which is the same on all
// architectures. words is the union: of a call that begins, its number and arguments; of one
// that ends, its result and whether that is an error.
type syscallInfo struct {
	op    uint8
	_     [3]byte
	arch  uint32
	_     [2]uint64 // instruction and stack pointer
	words [8]uint64
}

// The values of op.
const (
	infoExit    = 2
	infoSeccomp = 3
)

func getSyscallInfo(tid int) (info syscallInfo, err error) {
	const request = 0x420e // PTRACE_GET_SYSCALL_INFO
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, request, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if e != 0 {
		return info, e
	}
	return info, nil
}
