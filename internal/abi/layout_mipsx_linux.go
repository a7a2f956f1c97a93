//go:build linux && (mips || mipsle)

package abi

import "golang.org/x/sys/unix"

type semidDS struct {
	Perm                 unix.SysvIpcPerm
	Otime, Ctime         uint32
	Nsems                uint32
	OtimeHigh, CtimeHigh uint32
}

func shmTimes(ds *unix.SysvShmDesc) (atime, dtime, ctime int64) {
	return join(ds.Atime, uint32(ds.Atime_high)), join(ds.Dtime, uint32(ds.Dtime_high)), join(ds.Ctime, uint32(ds.Ctime_high))
}
