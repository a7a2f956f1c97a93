package abi

import "golang.org/x/sys/unix"

// On big-endian mips, msqidDS has the high word of each time first.
type msqidDS struct {
	Perm                 unix.SysvIpcPerm
	StimeHigh, Stime     uint32
	RtimeHigh, Rtime     uint32
	CtimeHigh, Ctime     uint32
	Cbytes, Qnum, Qbytes uint32
	Lspid, Lrpid         int32
	_                    [2]uint32
}
