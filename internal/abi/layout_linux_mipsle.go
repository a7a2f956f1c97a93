package abi

import "golang.org/x/sys/unix"

type msqidDS struct {
	Perm                 unix.SysvIpcPerm
	Stime, StimeHigh     uint32
	Rtime, RtimeHigh     uint32
	Ctime, CtimeHigh     uint32
	Cbytes, Qnum, Qbytes uint32
	Lspid, Lrpid         int32
	_                    [2]uint32
}
