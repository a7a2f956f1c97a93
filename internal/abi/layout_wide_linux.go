//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package abi

import "golang.org/x/sys/unix"

// On 64-bit architectures every time is one word.

type msqidDS struct {
	Perm                 unix.SysvIpcPerm
	Stime, Rtime, Ctime  int64
	Cbytes, Qnum, Qbytes uint64
	Lspid, Lrpid         int32
	_                    [2]uint64
}

func shmTimes(ds *unix.SysvShmDesc) (atime, dtime, ctime int64) { return ds.Atime, ds.Dtime, ds.Ctime }

func semTimes(ds *semidDS) (otime, ctime int64) { return ds.Otime, ds.Ctime }

func msgTimes(ds *msqidDS) (stime, rtime, ctime int64) { return ds.Stime, ds.Rtime, ds.Ctime }
