package abi

import "golang.org/x/sys/unix"

// Errno is the error number of a failed call, 0 of one that succeeded.
type Errno = unix.Errno

// The error numbers that the packages above decide by.
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
