//go:build linux && (386 || arm || mips || mipsle)

package abi

// On 32-bit architectures the high word of each time stands apart.

func join(low, high uint32) int64 { return int64(uint64(high)<<32 | uint64(low)) }

func semTimes(ds *semidDS) (otime, ctime int64) {
	return join(ds.Otime, ds.OtimeHigh), join(ds.Ctime, ds.CtimeHigh)
}

func msgTimes(ds *msqidDS) (stime, rtime, ctime int64) {
	return join(ds.Stime, ds.StimeHigh), join(ds.Rtime, ds.RtimeHigh), join(ds.Ctime, ds.CtimeHigh)
}
