package abi

import "golang.org/x/sys/unix"

// msqidDS has the high word of each time first on big-endian mips.
type msqidDS struct {
	Perm                 unix.SysvIpcPerm
	StimeHigh, Stime     uint32
	RtimeHigh, Rtime     uint32
	CtimeHigh, Ctime     uint32
	Cbytes, Qnum, Qbytes uint32
	Lspid, Lrpid         int32
	_                    [2]uint32
}
