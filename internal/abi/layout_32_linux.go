//go:build linux && (386 || arm)

package abi

import "golang.org/x/sys/unix"

type semidDS struct {
	Perm             unix.SysvIpcPerm
	Otime, OtimeHigh uint32
	Ctime, CtimeHigh uint32
	Nsems            uint32
	_                [2]uint32
}

type msqidDS struct {
	Perm                 unix.SysvIpcPerm
	Stime, StimeHigh     uint32
	Rtime, RtimeHigh     uint32
	Ctime, CtimeHigh     uint32
	Cbytes, Qnum, Qbytes uint32
	Lspid, Lrpid         int32
	_                    [2]uint32
}

func shmTimes(ds *unix.SysvShmDesc) (atime, dtime, ctime int64) {
	return join(ds.Atime, ds.Atime_high), join(ds.Dtime, ds.Dtime_high), join(ds.Ctime, ds.Ctime_high)
}
