//go:build linux && (arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package abi

import "golang.org/x/sys/unix"

type semidDS struct {
	Perm         unix.SysvIpcPerm
	Otime, Ctime int64
	Nsems        uint64
	_            [2]uint64
}
