package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// install installs a seccomp filter for the calling thread.
func install(code []unix.SockFilter) error {
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&filter)))
	if e != 0 {
		return e
	}
	return nil
}
