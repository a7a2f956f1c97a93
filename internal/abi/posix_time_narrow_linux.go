//go:build linux && (386 || arm || mips || mipsle)

package abi

import (
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A timedCall has two numbers on 32-bit architectures: one for times of 64 bits,
// known since Linux 5.1, and the original one, whose times end in 2038 and which
// newer kernels may be built without.
type timedCall struct{ time64, time32 uintptr }

var (
	mqSend    = timedCall{unix.SYS_MQ_TIMEDSEND_TIME64, unix.SYS_MQ_TIMEDSEND}
	mqReceive = timedCall{unix.SYS_MQ_TIMEDRECEIVE_TIME64, unix.SYS_MQ_TIMEDRECEIVE}
)

// withDeadline calls do with the address of deadline as the kernel wants it.
func withDeadline(call timedCall, deadline time.Time, do func(call uintptr, deadline unsafe.Pointer) Errno) Errno {
	ts64 := [2]int64{deadline.Unix(), int64(deadline.Nanosecond())}
	if e := do(call.time64, unsafe.Pointer(&ts64)); e != ENOSYS {
		return e
	}
	ts32 := unix.Timespec{Sec: int32(min(ts64[0], math.MaxInt32)), Nsec: int32(ts64[1])}
	return do(call.time32, unsafe.Pointer(&ts32))
}
