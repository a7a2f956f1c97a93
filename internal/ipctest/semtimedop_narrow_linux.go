//go:build linux && (386 || arm || mips || mipsle)

package ipctest

import "golang.org/x/sys/unix"

const semtimedop = unix.SYS_SEMTIMEDOP_TIME64
