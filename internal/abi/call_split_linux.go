//go:build linux && (amd64 || arm || arm64 || loong64 || mips64 || mips64le || riscv64)

package abi

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func shmget(key int32, size uintptr, flag int) (int, Errno) {
	id, _, e := syscall.Syscall(unix.SYS_SHMGET, uintptr(key), size, uintptr(flag))
	return int(id), e
}

func shmat(id int, addr uintptr, flag int) (uintptr, Errno) {
	at, _, e := syscall.Syscall(unix.SYS_SHMAT, narrow(id), addr, uintptr(flag))
	return at, e
}

func shmdt(addr uintptr) Errno {
	_, _, e := syscall.Syscall(unix.SYS_SHMDT, addr, 0, 0)
	return e
}

func shmctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.Syscall(unix.SYS_SHMCTL, narrow(id), uintptr(cmd|ipc64), uintptr(arg))
	return int(r), e
}

func rawShmctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_SHMCTL, narrow(id), uintptr(cmd|ipc64), uintptr(arg), 0, 0, 0)
	return int(r), e
}

func semget(key int32, nsems, flag int) (int, Errno) {
	id, _, e := syscall.Syscall(unix.SYS_SEMGET, uintptr(key), narrow(nsems), uintptr(flag))
	return int(id), e
}

func semctl(id, num, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_SEMCTL, narrow(id), narrow(num), uintptr(cmd|ipc64), uintptr(arg), 0, 0)
	return int(r), e
}

func rawSemctl(id, num, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_SEMCTL, narrow(id), narrow(num), uintptr(cmd|ipc64), uintptr(arg), 0, 0)
	return int(r), e
}

// semctlValue passes the union semun by value, in a register.
func semctlValue(id, num, cmd int, arg uintptr) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_SEMCTL, narrow(id), narrow(num), uintptr(cmd|ipc64), arg, 0, 0)
	return int(r), e
}

func semop(id int, ops *Sembuf, n int) Errno {
	_, _, e := syscall.Syscall(unix.SYS_SEMOP, narrow(id), uintptr(unsafe.Pointer(ops)), uintptr(n))
	return e
}

func rawSemop(id int, ops *Sembuf, n int) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_SEMOP, narrow(id), uintptr(unsafe.Pointer(ops)), uintptr(n), 0, 0, 0)
	return e
}

func msgget(key int32, flag int) (int, Errno) {
	id, _, e := syscall.Syscall(unix.SYS_MSGGET, uintptr(key), uintptr(flag), 0)
	return int(id), e
}

func msgsnd(id int, msg unsafe.Pointer, size, flag int) Errno {
	_, _, e := syscall.Syscall6(unix.SYS_MSGSND, narrow(id), uintptr(msg), uintptr(size), uintptr(flag), 0, 0)
	return e
}

func rawMsgsnd(id int, msg unsafe.Pointer, size, flag int) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_MSGSND, narrow(id), uintptr(msg), uintptr(size), uintptr(flag), 0, 0)
	return e
}

func msgrcv(id int, msg unsafe.Pointer, size, mtype, flag int) (int, Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_MSGRCV, narrow(id), uintptr(msg), uintptr(size), uintptr(mtype), uintptr(flag), 0)
	return int(n), e
}

func rawMsgrcv(id int, msg unsafe.Pointer, size, mtype, flag int) (int, Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_MSGRCV, narrow(id), uintptr(msg), uintptr(size), uintptr(mtype), uintptr(flag), 0)
	return int(n), e
}

func msgctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.Syscall(unix.SYS_MSGCTL, narrow(id), uintptr(cmd|ipc64), uintptr(arg))
	return int(r), e
}

func rawMsgctl(id, cmd int, arg unsafe.Pointer) (int, Errno) {
	r, _, e := syscall.RawSyscall6(unix.SYS_MSGCTL, narrow(id), uintptr(cmd|ipc64), uintptr(arg), 0, 0, 0)
	return int(r), e
}
