package abi

import "golang.org/x/sys/unix"

// Only on amd64 does semidDS have a spare word after each time.
type semidDS struct {
	Perm  unix.SysvIpcPerm
	Otime int64
	_     uint64
	Ctime int64
	_     uint64
	Nsems uint64
	_     [2]uint64
}
