//go:build linux && (386 || mips || mipsle || ppc64 || ppc64le || s390x)

package abi

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call numbers of ipc(2).
const (
	callSemop  = 1
	callSemget = 2
	callSemctl = 3
	callMsgsnd = 11
	callMsgrcv = 12
	callMsgget = 13
	callMsgctl = 14
	callShmat  = 21
	callShmdt  = 22
	callShmget = 23
	callShmctl = 24
)

const ipc64 = 0x100

func shmget(key int32, size uintptr, flag int) (int, Errno) {
	id, _, e := syscall.Syscall6(unix.SYS_IPC, callShmget, uintptr(key), size, uintptr(flag), 0, 0)
	return int(id), e
}

func shmat(id int, addr uintptr, flag int) (uintptr, Errno) {
	var at uintptr
	_, _, e := syscall.Syscall6(unix.SYS_IPC, callShmat, narrow(id), uintptr(flag), uintptr(unsafe.Pointer(&at)), addr, 0)
	return at, e
}

func shmdt(addr uintptr) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_IPC, callShmdt, 0, 0, 0, addr, 0)
	return e
}

func shmctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_IPC, callShmctl, narrow(id), uintptr(cmd|ipc64), 0, uintptr(arg), 0)
	return int(r), e
}

func rawShmctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_IPC, callShmctl, narrow(id), uintptr(cmd|ipc64), 0, uintptr(arg), 0)
	return int(r), e
}

func semget(key int32, nsems, flag int) (int, Errno) {
	id, _, e := syscall.Syscall6(unix.SYS_IPC, callSemget, uintptr(key), narrow(nsems), uintptr(flag), 0, 0)
	return int(id), e
}

// ipc(2) takes the address of the union semun, not its value.

func semctl(id, num, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_IPC, callSemctl, narrow(id), narrow(num), uintptr(cmd|ipc64), uintptr(unsafe.Pointer(&arg)), 0)
	return int(r), e
}

func rawSemctl(id, num, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_IPC, callSemctl, narrow(id), narrow(num), uintptr(cmd|ipc64), uintptr(unsafe.Pointer(&arg)), 0)
	return int(r), e
}

func semctlValue(id, num, cmd int, arg uintptr) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_IPC, callSemctl, narrow(id), narrow(num), uintptr(cmd|ipc64), uintptr(unsafe.Pointer(&arg)), 0)
	return int(r), e
}

func semop(id int, ops *Sembuf, n int) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_IPC, callSemop, narrow(id), uintptr(n), 0, uintptr(unsafe.Pointer(ops)), 0)
	return e
}

func rawSemop(id int, ops *Sembuf, n int) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_IPC, callSemop, narrow(id), uintptr(n), 0, uintptr(unsafe.Pointer(ops)), 0)
	return e
}

func msgget(key int32, flag int) (int, Errno) {
	id, _, e := syscall.Syscall6(unix.SYS_IPC, callMsgget, uintptr(key), uintptr(flag), 0, 0, 0)
	return int(id), e
}

func msgsnd(id int, msg unsafe.Pointer, size, flag int) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_IPC, callMsgsnd, narrow(id), uintptr(size), uintptr(flag), uintptr(msg), 0)
	return e
}

func rawMsgsnd(id int, msg unsafe.Pointer, size, flag int) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_IPC, callMsgsnd, narrow(id), uintptr(size), uintptr(flag), uintptr(msg), 0)
	return e
}

// kludge is struct ipc_kludge. msgrcv(2) has one argument more than ipc(2) can carry on
// s390x, so the form that packs two of them is used on every architecture.
type kludge struct {
	msg   unsafe.Pointer
	mtype int
}

func msgrcv(id int, msg unsafe.Pointer, size, mtype, flag int) (int, Errno) {
	k := kludge{msg, mtype}
	n, _, e := syscall.Syscall6(unix.SYS_IPC, callMsgrcv, narrow(id), uintptr(size), uintptr(flag), uintptr(unsafe.Pointer(&k)), 0)
	return int(n), e
}

func rawMsgrcv(id int, msg unsafe.Pointer, size, mtype, flag int) (int, Errno) {
	k := kludge{msg, mtype}
	n, _, e := syscall.RawSyscall6(unix.SYS_IPC, callMsgrcv, narrow(id), uintptr(size), uintptr(flag), uintptr(unsafe.Pointer(&k)), 0)
	return int(n), e
}

func msgctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_IPC, callMsgctl, narrow(id), uintptr(cmd|ipc64), 0, uintptr(arg), 0)
	return int(r), e
}

func rawMsgctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_IPC, callMsgctl, narrow(id), uintptr(cmd|ipc64), 0, uintptr(arg), 0)
	return int(r), e
}
