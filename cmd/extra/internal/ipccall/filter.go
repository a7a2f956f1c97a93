//go:build linux

package ipccall

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// Filter returns a program for seccomp(2) that returns action for the calls that a Decoder
// wants to see, and allows all others. The kernel runs it only for calls with a number that
// it selects: for others it remembers that they are allowed.
//
// Of some calls, it selects only what can be IPC by their arguments: opens with O_NOFOLLOW
// or O_CREAT|O_EXCL, shared mappings of files, and waits on futexes that are not private.
func Filter(action uint32) []unix.SockFilter {
	const number, arch = 0, 4 // struct seccomp_data
	p := &program{action: action}
	for _, t := range tables() {
		p.load(arch)
		block := &program{action: action}
		block.load(number)
		for _, n := range slices.Sorted(maps.Keys(t.calls)) {
			block.call(uint32(n), t.calls[n].tests)
		}
		block.ret(unix.SECCOMP_RET_ALLOW)
		p.skipUnless(t.arch, len(block.code))
		p.code = append(p.code, block.code...)
	}
	p.ret(unix.SECCOMP_RET_ALLOW)
	return p.code
}

// A program is a filter that is being written.
type program struct {
	action uint32
	code   []unix.SockFilter
}

func (p *program) add(code uint16, k uint32, ifTrue, ifFalse uint8) {
	p.code = append(p.code, unix.SockFilter{Code: code, K: k, Jt: ifTrue, Jf: ifFalse})
}

func (p *program) load(offset uint32) { p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }

func (p *program) ret(value uint32) { p.add(unix.BPF_RET|unix.BPF_K, value, 0, 0) }

// skipUnless skips n instructions unless the loaded value is k. Conditional jumps reach 255
// instructions, others any number.
func (p *program) skipUnless(k uint32, n int) {
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 1, 0)
	p.add(unix.BPF_JMP|unix.BPF_JA, uint32(n), 0, 0)
}

// call selects the call of a number if it passes one of the tests, or if there are none.
func (p *program) call(number uint32, tests []test) {
	block := &program{action: p.action}
	if len(tests) == 0 {
		block.ret(p.action)
	} else {
		for _, t := range tests {
			block.test(t)
		}
		block.ret(unix.SECCOMP_RET_ALLOW)
	}
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, number, 0, uint8(len(block.code)))
	p.code = append(p.code, block.code...)
}

// test selects the call if it passes the test.
func (p *program) test(t test) {
	const arguments, size = 16, 8 // the lower halves come first
	p.load(arguments + size*uint32(t.arg))
	p.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, t.mask, 0, 0)
	for _, v := range t.values {
		p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, v, 0, 1)
		p.ret(p.action)
	}
}
