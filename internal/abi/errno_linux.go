package abi

import "golang.org/x/sys/unix"

// Errno is the error number of a system call, or 0 if it succeeded.
type Errno = unix.Errno

// The error numbers that other packages check for.
const (
	E2BIG  = unix.E2BIG
	EACCES = unix.EACCES
	EAGAIN = unix.EAGAIN
	EEXIST = unix.EEXIST
	EFBIG  = unix.EFBIG
	EIDRM  = unix.EIDRM
	EINTR  = unix.EINTR
	EINVAL = unix.EINVAL
	ENOENT = unix.ENOENT
	ENOMSG = unix.ENOMSG
	ENOMEM = unix.ENOMEM
	ENOSPC = unix.ENOSPC
	ENOSYS = unix.ENOSYS
	EPERM  = unix.EPERM
	ERANGE = unix.ERANGE
)
