package abi

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestClassifyWait(t *testing.T) {
	const ptr, timeout = 0x1122334455667788, 0x2233445566778899
	// Every 64-bit architecture, and each of the 32-bit numberings.
	tests := []struct {
		name string
		arch string
		nr   int64
		bits int
		args [6]uint64
		want Wait
	}{
		{"semop", "amd64", 65, 64, [6]uint64{7, ptr, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Long: 8}},
		{"semtimedop", "amd64", 220, 64, [6]uint64{7, ptr, 2, timeout}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Timeout: timeout, Long: 8}},
		{"semtimedop without timeout", "amd64", 220, 64, [6]uint64{7, ptr, 2}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Long: 8}},
		{"msgsnd", "amd64", 69, 64, [6]uint64{7, ptr, 50, 0o10000}, Wait{Call: WaitMsgsnd, ID: 7, Data: ptr, Count: 50, Flags: 0o10000, Long: 8}},
		{"msgrcv", "amd64", 70, 64, [6]uint64{7, ptr, 50, 0xfffffffffffffffb, 0o20000}, Wait{Call: WaitMsgrcv, ID: 7, Data: ptr, Count: 50, Type: -5, Flags: 0o20000, Long: 8}},
		{"a large size", "amd64", 69, 64, [6]uint64{7, ptr, 1 << 30}, Wait{Call: WaitMsgsnd, ID: 7, Data: ptr, Count: 1 << 30, Long: 8}},
		{"only 32 bits of the id count", "amd64", 65, 64, [6]uint64{1<<32 + 7, ptr, 1}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 1, Long: 8}},

		{"386 semop", "amd64", 117, 32, [6]uint64{1, 7, 2, 0, ptr}, Wait{Call: WaitSemop, ID: 7, Data: 0x55667788, Count: 2, Long: 4}},
		{"386 semtimedop", "386", 117, 32, [6]uint64{4, 7, 2, 0, ptr, timeout}, Wait{Call: WaitSemop, ID: 7, Data: 0x55667788, Count: 2, Timeout: 0x66778899, Long: 4}},
		{"386 msgsnd", "386", 117, 32, [6]uint64{11, 7, 50, 3, ptr}, Wait{Call: WaitMsgsnd, ID: 7, Data: 0x55667788, Count: 50, Flags: 3, Long: 4}},
		{"386 msgrcv, packed", "386", 117, 32, [6]uint64{12, 7, 50, 3, ptr}, Wait{Call: WaitMsgrcv, ID: 7, Count: 50, Flags: 3, TypeAt: 0x5566778c, Long: 4}},
		{"386 msgrcv, version 1", "386", 117, 32, [6]uint64{1<<16 | 12, 7, 50, 3, ptr, 0xfffffffb}, Wait{Call: WaitMsgrcv, ID: 7, Data: 0x55667788, Count: 50, Flags: 3, Type: -5, Long: 4}},
		{"386 split msgsnd", "386", 400, 32, [6]uint64{7, ptr, 50}, Wait{Call: WaitMsgsnd, ID: 7, Data: 0x55667788, Count: 50, Long: 4}},
		{"386 split msgrcv", "386", 401, 32, [6]uint64{7, ptr, 50, 0xfffffffb}, Wait{Call: WaitMsgrcv, ID: 7, Data: 0x55667788, Count: 50, Type: -5, Long: 4}},
		{"386 semtimedop_time64", "amd64", 420, 32, [6]uint64{7, ptr, 2, timeout}, Wait{Call: WaitSemop, ID: 7, Data: 0x55667788, Count: 2, Timeout: 0x66778899, Long: 4}},
		{"a 64-bit process seen by a 32-bit program", "386", 65, 64, [6]uint64{7, ptr, 2}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Long: 8}},

		{"arm semop", "arm", 298, 32, [6]uint64{7, 8, 2}, Wait{Call: WaitSemop, ID: 7, Data: 8, Count: 2, Long: 4}},
		{"arm semtimedop", "arm64", 312, 32, [6]uint64{7, 8, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: 8, Count: 2, Timeout: 9, Long: 4}},
		{"arm semtimedop_time64", "arm64", 420, 32, [6]uint64{7, 8, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: 8, Count: 2, Timeout: 9, Long: 4}},
		{"arm msgsnd", "arm", 301, 32, [6]uint64{7, 8, 2, 9}, Wait{Call: WaitMsgsnd, ID: 7, Data: 8, Count: 2, Flags: 9, Long: 4}},
		{"arm msgrcv", "arm", 302, 32, [6]uint64{7, 8, 2, 9, 10}, Wait{Call: WaitMsgrcv, ID: 7, Data: 8, Count: 2, Type: 9, Flags: 10, Long: 4}},

		{"arm64 semop", "arm64", 193, 64, [6]uint64{7, ptr, 2}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Long: 8}},
		{"riscv64 semtimedop", "riscv64", 192, 64, [6]uint64{7, ptr, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Timeout: 9, Long: 8}},
		{"loong64 msgsnd", "loong64", 189, 64, [6]uint64{7, ptr, 2, 9}, Wait{Call: WaitMsgsnd, ID: 7, Data: ptr, Count: 2, Flags: 9, Long: 8}},
		{"arm64 msgrcv", "arm64", 188, 64, [6]uint64{7, ptr, 2, 9, 10}, Wait{Call: WaitMsgrcv, ID: 7, Data: ptr, Count: 2, Type: 9, Flags: 10, Long: 8}},

		{"ppc64 semop by ipc", "ppc64le", 117, 64, [6]uint64{1, 7, 2, 0, ptr}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Long: 8}},
		{"ppc64 semtimedop", "ppc64", 392, 64, [6]uint64{7, ptr, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Timeout: 9, Long: 8}},
		{"ppc64 msgrcv, packed", "ppc64", 117, 64, [6]uint64{12, 7, 2, 3, ptr}, Wait{Call: WaitMsgrcv, ID: 7, Count: 2, Flags: 3, TypeAt: ptr + 8, Long: 8}},
		{"ppc semtimedop_time64", "ppc64", 420, 32, [6]uint64{7, 8, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: 8, Count: 2, Timeout: 9, Long: 4}},
		{"s390x semtimedop by ipc", "s390x", 117, 64, [6]uint64{4, 7, 2, timeout, ptr}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Timeout: timeout, Long: 8}},
		{"s390x msgsnd", "s390x", 400, 64, [6]uint64{7, ptr, 2, 9}, Wait{Call: WaitMsgsnd, ID: 7, Data: ptr, Count: 2, Flags: 9, Long: 8}},

		{"mips o32 semop", "mipsle", 4117, 32, [6]uint64{1, 7, 2, 0, 8}, Wait{Call: WaitSemop, ID: 7, Data: 8, Count: 2, Long: 4}},
		{"mips o32 on n64", "mips64", 4401, 32, [6]uint64{7, 8, 2, 9, 10}, Wait{Call: WaitMsgrcv, ID: 7, Data: 8, Count: 2, Type: 9, Flags: 10, Long: 4}},
		{"mips n64 semop", "mips64le", 5063, 64, [6]uint64{7, ptr, 2}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Long: 8}},
		{"mips n64 semtimedop", "mips64", 5214, 64, [6]uint64{7, ptr, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: ptr, Count: 2, Timeout: 9, Long: 8}},
		{"mips n32 semtimedop", "mips64", 6215, 32, [6]uint64{7, 8, 2, 9}, Wait{Call: WaitSemop, ID: 7, Data: 8, Count: 2, Timeout: 9, Long: 4}},
	}
	for _, tt := range tests {
		t.Run(tt.arch+" "+tt.name, func(t *testing.T) {
			got, ok := classifyWait(tt.arch, tt.nr, &tt.args, tt.bits)
			if !ok || got != tt.want {
				t.Errorf("classifyWait(%d) = %+v, %v\nwant %+v", tt.nr, got, ok, tt.want)
			}
		})
	}
}

func TestClassifyWaitOther(t *testing.T) {
	tests := []struct {
		name string
		arch string
		nr   int64
		bits int
		arg0 uint64
	}{
		{"read, or no call at all", "amd64", 0, 64, 7},
		{"outside of a system call", "amd64", -1, 64, 7},
		{"getdents64 of a 32-bit process", "amd64", 220, 32, 7},
		{"setresuid of a 64-bit process", "amd64", 117, 64, 1},
		{"semget by ipc", "386", 117, 32, 2},
		{"shmat by ipc", "s390x", 117, 64, 21},
		{"an unknown architecture", "vax", 65, 64, 7},
		{"futex", "arm64", 98, 64, 7},
		{"mips number without a range", "mips", 117, 32, 1},
	}
	for _, tt := range tests {
		if w, ok := classifyWait(tt.arch, tt.nr, &[6]uint64{tt.arg0, 1, 1}, tt.bits); ok {
			t.Errorf("%s %s: %+v, want none", tt.arch, tt.name, w)
		}
	}
}

func TestDecodeSembufs(t *testing.T) {
	var mem []byte
	want := []Sembuf{{Num: 3, Op: -7, Flg: SemUndo | IPCNoWait}, {Num: 65535, Op: 32767}}
	for _, b := range want {
		mem = binary.NativeEndian.AppendUint16(mem, b.Num)
		mem = binary.NativeEndian.AppendUint16(mem, uint16(b.Op))
		mem = binary.NativeEndian.AppendUint16(mem, uint16(b.Flg))
	}
	if got := DecodeSembufs(nil, append(mem, 1, 2, 3)); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDecodeLong(t *testing.T) {
	order := binary.NativeEndian
	for want, mem := range map[int64][]byte{
		-5:      order.AppendUint32(nil, 0xfffffffb),
		7:       order.AppendUint32(nil, 7),
		-6:      order.AppendUint64(nil, 1<<64-6),
		1 << 40: order.AppendUint64(nil, 1<<40),
	} {
		if got := DecodeLong(mem); got != want {
			t.Errorf("%x: %d, want %d", mem, got, want)
		}
	}
}
