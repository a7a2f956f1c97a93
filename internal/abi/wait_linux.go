package abi

import (
	"encoding/binary"
	"runtime"
)

// A WaitCall is a System V IPC call in which a thread can sleep.
type WaitCall int

const (
	WaitSemop WaitCall = iota
	WaitMsgsnd
	WaitMsgrcv
)

// A Wait describes the call in which a thread sleeps, from the registers of its system
// call. Addresses refer to the memory of its process.
type Wait struct {
	Call WaitCall
	ID   int
	// Data is the address of the sembufs or of the message. It is 0 for a message received
	// through ipc(2).
	Data    uint64
	Count   int    // sembufs, or bytes of the message's text
	Flags   int    // of msgsnd and msgrcv
	Timeout uint64 // address of the timeout of a semop, 0 without one
	// Type selects the message to receive. Through ipc(2) it is in memory, at TypeAt;
	// otherwise TypeAt is 0.
	Type   int64
	TypeAt uint64
	Long   int // bytes of a C long in that process
}

// ClassifyWait returns what a thread in system call number nr waits for, or false if the
// call is not of System V IPC. bits, 32 or 64, is the class of the process's executable: a
// 64-bit kernel numbers the calls of 32-bit programs differently, so a number does not
// identify the call, except on mips. ClassifyWait does not recognise x32, or a 64-bit
// program that uses the kernel's 32-bit entry.
func ClassifyWait(nr int64, args *[6]uint64, bits int) (Wait, bool) {
	return classifyWait(runtime.GOARCH, nr, args, bits)
}

// waitNumbers holds system call numbers. 0 means none; on every architecture, 0 is the
// number of another call.
type waitNumbers struct {
	semop, semtimedop, semtimedop64, msgsnd, msgrcv, ipc int64
}

// numbersFor returns the numbers of an architecture and the size of a long in bytes.
func numbersFor(arch string, nr int64, bits int) (n waitNumbers, long int) {
	wide := bits == 64
	long = bits / 8
	switch arch {
	case "386", "amd64":
		n = waitNumbers{semtimedop64: 420, msgsnd: 400, msgrcv: 401, ipc: 117}
		if wide {
			n = waitNumbers{semop: 65, semtimedop: 220, msgsnd: 69, msgrcv: 70}
		}
	case "arm", "arm64":
		n = waitNumbers{semop: 298, semtimedop: 312, semtimedop64: 420, msgsnd: 301, msgrcv: 302}
		if wide {
			n = waitNumbers{semop: 193, semtimedop: 192, msgsnd: 189, msgrcv: 188}
		}
	case "loong64", "riscv64":
		n = waitNumbers{semop: 193, semtimedop64: 420, msgsnd: 189, msgrcv: 188}
		if wide {
			n = waitNumbers{semop: 193, semtimedop: 192, msgsnd: 189, msgrcv: 188}
		}
	case "ppc64", "ppc64le", "s390x":
		n = waitNumbers{semtimedop64: 420, msgsnd: 400, msgrcv: 401, ipc: 117}
		if wide {
			n = waitNumbers{semtimedop: 392, msgsnd: 400, msgrcv: 401, ipc: 117}
		}
	case "mips", "mipsle", "mips64", "mips64le":
		switch nr / 1000 {
		case 4: // o32
			n, long = waitNumbers{semtimedop64: 4420, msgsnd: 4400, msgrcv: 4401, ipc: 4117}, 4
		case 5: // n64
			n, long = waitNumbers{semop: 5063, semtimedop: 5214, msgsnd: 5067, msgrcv: 5068}, 8
		case 6: // n32
			n, long = waitNumbers{semop: 6063, semtimedop: 6215, semtimedop64: 6420, msgsnd: 6067, msgrcv: 6068}, 4
		}
	}
	return n, long
}

func classifyWait(arch string, nr int64, args *[6]uint64, bits int) (Wait, bool) {
	if nr <= 0 {
		return Wait{}, false
	}
	n, long := numbersFor(arch, nr, bits)
	r := registers{args, long}
	w := Wait{ID: r.int(0), Data: r.word(1), Long: long}
	switch nr {
	case n.semop:
		w.Call, w.Count = WaitSemop, r.int(2)
	case n.semtimedop, n.semtimedop64:
		w.Call, w.Count, w.Timeout = WaitSemop, r.int(2), r.word(3)
	case n.msgsnd:
		w.Call, w.Count, w.Flags = WaitMsgsnd, int(r.word(2)), r.int(3)
	case n.msgrcv:
		w.Call, w.Count, w.Type, w.Flags = WaitMsgrcv, int(r.word(2)), r.long(3), r.int(4)
	case n.ipc:
		return classifyIPC(r, arch == "s390x")
	default:
		return Wait{}, false
	}
	return w, true
}

// Call numbers of ipc(2); the upper half of its first argument is a version.
const (
	ipcSemop      = 1
	ipcSemtimedop = 4
	ipcMsgsnd     = 11
	ipcMsgrcv     = 12
)

// classifyIPC decodes the arguments of ipc(2): call, first, second, third, ptr, fifth.
func classifyIPC(r registers, s390 bool) (Wait, bool) {
	w := Wait{ID: r.int(1), Count: r.int(2), Data: r.word(4), Long: r.size}
	switch call := r.int(0); call & 0xffff {
	case ipcSemop:
		w.Call = WaitSemop
	case ipcSemtimedop:
		w.Call, w.Timeout = WaitSemop, r.word(5)
		if s390 {
			w.Timeout = r.word(3)
		}
	case ipcMsgsnd:
		w.Call, w.Flags = WaitMsgsnd, r.int(3)
	case ipcMsgrcv:
		w.Call, w.Flags = WaitMsgrcv, r.int(3)
		if call>>16 == 0 { // ptr points to the address of the message and the type
			w.Data, w.TypeAt = 0, w.Data+uint64(r.size)
		} else {
			w.Type = r.long(5)
		}
	default:
		return Wait{}, false
	}
	return w, true
}

// registers holds the arguments of a system call. Longs of the process have size bytes;
// higher bits of an argument are undefined.
type registers struct {
	args *[6]uint64
	size int
}

func (r registers) int(i int) int { return int(int32(r.args[i])) }

func (r registers) word(i int) uint64 {
	if r.size == 4 {
		return uint64(uint32(r.args[i]))
	}
	return r.args[i]
}

func (r registers) long(i int) int64 {
	if r.size == 4 {
		return int64(int32(r.args[i]))
	}
	return int64(r.args[i])
}

// SembufSize is the size in bytes of struct sembuf.
const SembufSize = 6

// DecodeSembufs decodes the sembufs in mem, read from a process's memory, and appends them
// to dst. It ignores an incomplete one at the end.
func DecodeSembufs(dst []Sembuf, mem []byte) []Sembuf {
	order := binary.NativeEndian
	for ; len(mem) >= SembufSize; mem = mem[SembufSize:] {
		dst = append(dst, Sembuf{
			Num: order.Uint16(mem), Op: int16(order.Uint16(mem[2:])), Flg: int16(order.Uint16(mem[4:])),
		})
	}
	return dst
}

// DecodeLong decodes a C long read from a process's memory. len(mem) is its size.
func DecodeLong(mem []byte) int64 {
	if len(mem) == 4 {
		return int64(int32(binary.NativeEndian.Uint32(mem)))
	}
	return int64(binary.NativeEndian.Uint64(mem))
}
