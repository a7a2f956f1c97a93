package abi

import "golang.org/x/sys/unix"

// semidDS has a spare word behind each time on amd64 alone.
type semidDS struct {
	Perm  unix.SysvIpcPerm
	Otime int64
	_     uint64
	Ctime int64
	_     uint64
	Nsems uint64
	_     [2]uint64
}
