//go:build linux

package ipccall

import "golang.org/x/sys/unix"

// A table is the application binary interface of one kind of program.
type table struct {
	arch  uint32
	wide  bool // 64 bits
	x86   bool // a semid_ds with more room
	open  openBits
	calls map[uint64]*spec
}

// openBits are the flags of open(2) that differ between architectures.
type openBits struct{ direct, large, directory, noFollow uint64 }

func x86Open() openBits {
	return openBits{direct: 0o40000, large: 0o100000, directory: 0o200000, noFollow: 0o400000}
}

func armOpen() openBits {
	return openBits{direct: 0o200000, large: 0o400000, directory: 0o40000, noFollow: 0o100000}
}

// A spec is how to decode a call.
type spec struct {
	name    string
	enter   func(*decoding) bool // false: the call has nothing to do with IPC
	exit    func(*decoding)      // nil: nothing more is known at the end
	address bool                 // it returns an address
	tests   []test               // the filter selects calls that pass a test; all, if there is none
}

// A test is a condition on the lower half of an argument: masked, it has one of the values.
type test struct {
	arg    int
	mask   uint32
	values []uint32
}

// hasBit returns a test that passes if the argument has a bit.
func hasBit(arg int, bit uint32) test { return test{arg, bit, []uint32{bit}} }

// tables returns the tables of all programs that a Decoder knows.
func tables() []*table {
	return []*table{
		{arch: unix.AUDIT_ARCH_X86_64, wide: true, x86: true, open: x86Open(), calls: amd64Calls()},
		{arch: unix.AUDIT_ARCH_AARCH64, wide: true, open: armOpen(), calls: arm64Calls()},
		{arch: unix.AUDIT_ARCH_I386, x86: true, open: x86Open(), calls: i386Calls()},
	}
}

func amd64Calls() map[uint64]*spec {
	open := x86Open().noFollow
	return map[uint64]*spec{
		2:   openSpec("open", open),
		9:   mmapSpec("mmap"),
		29:  shmgetSpec(),
		30:  shmatSpec(),
		31:  shmctlSpec(),
		64:  semgetSpec(),
		65:  semopSpec("semop"),
		66:  semctlSpec(),
		67:  shmdtSpec(),
		68:  msggetSpec(),
		69:  msgsndSpec(),
		70:  msgrcvSpec(),
		71:  msgctlSpec(),
		86:  linkSpec("link"),
		87:  unlinkSpec("unlink"),
		202: futexSpec("futex"),
		219: restartSpec(),
		220: semopSpec("semtimedop"),
		240: mqOpenSpec(),
		241: mqUnlinkSpec(),
		242: mqSendSpec("mq_timedsend"),
		243: mqReceiveSpec("mq_timedreceive"),
		244: mqNotifySpec(),
		245: mqGetsetattrSpec(),
		257: openSpec("openat", open),
		263: unlinkSpec("unlinkat"),
		265: linkSpec("linkat"),
	}
}

func arm64Calls() map[uint64]*spec {
	return map[uint64]*spec{
		35:  unlinkSpec("unlinkat"),
		37:  linkSpec("linkat"),
		56:  openSpec("openat", armOpen().noFollow),
		98:  futexSpec("futex"),
		128: restartSpec(),
		180: mqOpenSpec(),
		181: mqUnlinkSpec(),
		182: mqSendSpec("mq_timedsend"),
		183: mqReceiveSpec("mq_timedreceive"),
		184: mqNotifySpec(),
		185: mqGetsetattrSpec(),
		186: msggetSpec(),
		187: msgctlSpec(),
		188: msgrcvSpec(),
		189: msgsndSpec(),
		190: semgetSpec(),
		191: semctlSpec(),
		192: semopSpec("semtimedop"),
		193: semopSpec("semop"),
		194: shmgetSpec(),
		195: shmctlSpec(),
		196: shmatSpec(),
		197: shmdtSpec(),
		222: mmapSpec("mmap"),
	}
}

func i386Calls() map[uint64]*spec {
	open := x86Open().noFollow
	return map[uint64]*spec{
		0:   restartSpec(),
		5:   openSpec("open", open),
		9:   linkSpec("link"),
		10:  unlinkSpec("unlink"),
		117: {name: "ipc", enter: enterIPC},
		192: mmapSpec("mmap2"),
		240: futexSpec("futex"),
		277: mqOpenSpec(),
		278: mqUnlinkSpec(),
		279: mqSendSpec("mq_timedsend"),
		280: mqReceiveSpec("mq_timedreceive"),
		281: mqNotifySpec(),
		282: mqGetsetattrSpec(),
		295: openSpec("openat", open),
		301: unlinkSpec("unlinkat"),
		303: linkSpec("linkat"),
		393: semgetSpec(),
		394: semctlSpec(),
		395: shmgetSpec(),
		396: shmctlSpec(),
		397: shmatSpec(),
		398: shmdtSpec(),
		399: msggetSpec(),
		400: msgsndSpec(),
		401: msgrcvSpec(),
		402: msgctlSpec(),
		418: mqSendSpec("mq_timedsend_time64"),
		419: mqReceiveSpec("mq_timedreceive_time64"),
		420: semopSpec("semtimedop_time64"),
		422: futexSpec("futex_time64"),
	}
}

// multiplexed returns the call that ipc(2) stands for, and which of its arguments first,
// second, third, ptr and fifth (1 to 5) are the arguments of that call.
func multiplexed(call uint64) (*spec, []int) {
	const first, second, third, ptr, fifth = 1, 2, 3, 4, 5
	switch call {
	case 1:
		return semopSpec("semop"), []int{first, ptr, second}
	case 2:
		return semgetSpec(), []int{first, second, third}
	case 3:
		return semctlSpec(), []int{first, second, third, ptr}
	case 4:
		return semopSpec("semtimedop"), []int{first, ptr, second, fifth}
	case 11:
		return msgsndSpec(), []int{first, ptr, second, third}
	case 12:
		return msgrcvSpec(), []int{first, ptr, second, fifth, third}
	case 13:
		return msggetSpec(), []int{first, second}
	case 14:
		return msgctlSpec(), []int{first, second, ptr}
	case 21:
		return shmatSpec(), []int{first, ptr, second}
	case 22:
		return shmdtSpec(), []int{ptr}
	case 23:
		return shmgetSpec(), []int{first, second, third}
	case 24:
		return shmctlSpec(), []int{first, second, ptr}
	default:
		return nil, nil
	}
}
