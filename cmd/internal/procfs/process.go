package procfs

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"
)

// Stat is the part of /proc/PID/stat used here.
type Stat struct {
	PID          int
	Comm         string // at most 15 bytes of any kind
	State        byte   // R S D T t Z X I, see proc(5)
	PPID         int
	KernelThread bool
	Exiting      bool // the thread (of a process, the main thread) is ending or has ended
	Forked       bool // still runs its parent's program: it has not called execve
	Threads      int  // of the process; 0 if it has ended
	// Start is the time from boot to the start of the process, to 10 ms.
	Start time.Duration
}

const (
	tick          = time.Second / 100 // USER_HZ, the same on every architecture of Go
	pfExiting     = 0x00000004        // PF_EXITING
	pfForked      = 0x00000040        // PF_FORKNOEXEC
	pfKernel      = 0x00200000        // PF_KTHREAD
	statFlags     = 9 - 3             // index after the name, which is field 2
	statThreads   = 20 - 3
	statStartTime = 22 - 3
)

// ParseStat parses /proc/PID/stat. The name is in parentheses and may contain
// parentheses, blanks and newlines, so it ends at the last parenthesis. A truncated
// line is an error.
func ParseStat(b []byte) (Stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open || b[len(b)-1] != '\n' {
		return Stat{}, badFormat("stat")
	}
	pid, ok := number(bytes.TrimRight(b[:open], " "))
	if !ok || pid > 1<<31-1 {
		return Stat{}, badFormat("stat")
	}
	s := Stat{PID: int(pid), Comm: string(b[open+1 : end])}
	p := parser{rest: b[end+1:]}
	for i := 0; i <= statStartTime; i++ {
		field := p.field()
		n, ok := number(field)
		switch i {
		case 0:
			if len(field) != 1 {
				return Stat{}, badFormat("stat")
			}
			s.State = field[0]
			continue
		case 1:
			s.PPID = int(n)
		case statFlags:
			s.KernelThread, s.Exiting, s.Forked = n&pfKernel != 0, n&pfExiting != 0, n&pfForked != 0
		case statThreads:
			s.Threads = int(n)
		case statStartTime:
			if n > uint64(1<<63-1)/uint64(tick) {
				return Stat{}, badFormat("stat")
			}
			s.Start = time.Duration(n) * tick
		default:
			continue
		}
		if !ok {
			return Stat{}, badFormat("stat")
		}
	}
	return s, nil
}

// Credentials are the users and groups that a thread acts as.
type Credentials struct {
	// UIDs and GIDs are the real, effective, saved and file system ids.
	UIDs, GIDs [4]uint32
	Groups     []uint32 // supplementary
	// Caps are the effective capabilities, which apply in the thread's own user
	// namespace.
	Caps uint64
}

// RUID returns the real user id.
func (c *Credentials) RUID() uint32 { return c.UIDs[0] }

// EUID returns the effective user id.
func (c *Credentials) EUID() uint32 { return c.UIDs[1] }

// Status is the part of /proc/PID/status used here.
type Status struct {
	Credentials
	// NSPIDs are the ids of the process in its pid namespaces, from the reader's to its
	// own; nil before Linux 4.1.
	NSPIDs []int
	// Caught are the signals with a handler, Blocked the blocked ones: signal n is bit
	// n-1. If the kernel does not report them, all bits are set.
	Caught, Blocked uint64
	// Sleeps is how often the thread gave up its processor, which it does for every
	// wait; -1 if the kernel does not report it.
	Sleeps int64
}

// ParseStatus parses /proc/PID/status.
func ParseStatus(b []byte) (Status, error) {
	const all = 4 // Uid, Gid, Groups, CapEff
	s := Status{Caught: 1<<64 - 1, Blocked: 1<<64 - 1, Sleeps: -1}
	found, good := 0, true
	lines(wholeLines(b), func(line []byte) bool {
		name, value, _ := bytes.Cut(line, []byte{':'})
		p := parser{rest: value}
		switch string(name) {
		case "Uid":
			found++
			s.UIDs, good = fourIDs(&p)
		case "Gid":
			found++
			s.GIDs, good = fourIDs(&p)
		case "Groups":
			found++
			s.Groups, good = groups(&p)
		case "CapEff":
			found++
			s.Caps, good = hexNumber(p.field())
		case "NSpid":
			s.NSPIDs = parsePIDs(&p)
		case "SigBlk":
			s.Blocked, good = hexNumber(p.field())
		case "SigCgt":
			s.Caught, good = hexNumber(p.field())
		case "voluntary_ctxt_switches":
			n, ok := number(p.field())
			s.Sleeps, good = int64(n), ok && n < 1<<63
		}
		return good
	})
	if found != all || !good {
		return Status{}, badFormat("status")
	}
	return s, nil
}

func fourIDs(p *parser) (ids [4]uint32, ok bool) {
	for i := range ids {
		n, ok := number(p.field())
		if !ok || n > 1<<32-1 {
			return ids, false
		}
		ids[i] = uint32(n)
	}
	return ids, true
}

func groups(p *parser) (ids []uint32, ok bool) {
	for {
		field := p.field()
		if len(field) == 0 {
			return ids, true
		}
		n, ok := number(field)
		if !ok || n > 1<<32-1 {
			return nil, false
		}
		ids = append(ids, uint32(n))
	}
}

func parsePIDs(p *parser) (pids []int) {
	for {
		pid, err := strconv.Atoi(string(p.field()))
		if err != nil {
			return pids
		}
		pids = append(pids, pid)
	}
}

// ParseList splits /proc/PID/cmdline or /proc/PID/environ: strings that each end with a
// NUL. A process may write anything there.
func ParseList(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	b = bytes.TrimSuffix(b, []byte{0})
	var list []string
	for s := range bytes.SplitSeq(b, []byte{0}) {
		list = append(list, string(s))
	}
	return list
}

// A Call is the contents of /proc/PID/task/TID/syscall.
type Call struct {
	// Running is set if the thread is running or ready to run; nothing else is known
	// then.
	Running bool
	Number  int64 // -1 if the thread sleeps outside a system call
	Args    [6]uint64
	Stack   uint64 // stack pointer
	Program uint64 // program counter
}

// ParseCall parses /proc/PID/task/TID/syscall: "running", or a number, six arguments
// (unless the number is -1), the stack pointer and the program counter. A truncated
// line is an error.
func ParseCall(b []byte) (Call, error) {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		return Call{}, badFormat("syscall")
	}
	p := parser{rest: b}
	first := p.field()
	if string(first) == "running" {
		return Call{Running: true}, nil
	}
	nr, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil || nr < -1 {
		return Call{}, badFormat("syscall")
	}
	c := Call{Number: nr}
	if nr == -1 {
		return c, nil
	}
	values := [...]*uint64{&c.Args[0], &c.Args[1], &c.Args[2], &c.Args[3], &c.Args[4], &c.Args[5], &c.Stack, &c.Program}
	for _, value := range values {
		digits, ok := bytes.CutPrefix(p.field(), []byte("0x"))
		if ok {
			*value, ok = hexNumber(digits)
		}
		if !ok {
			return Call{}, badFormat("syscall")
		}
	}
	return c, nil
}

// ParseRunTime parses /proc/PID/task/TID/schedstat and returns how long the thread has
// run.
func ParseRunTime(b []byte) (time.Duration, error) {
	p := parser{rest: wholeLines(b)}
	n, ok := number(p.field())
	if !ok || n > 1<<63-1 {
		return 0, badFormat("schedstat")
	}
	return time.Duration(n), nil
}

// ParseExecStart parses /proc/PID/task/TID/sched and returns when, on the scheduler's
// clock, the thread was last accounted as running; for a sleeping thread, when it fell
// asleep. That clock starts near boot; use it for differences.
func ParseExecStart(b []byte) (time.Duration, error) {
	at := time.Duration(-1)
	lines(b, func(line []byte) bool {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if string(bytes.TrimSpace(name)) != "se.exec_start" {
			return true
		}
		whole, fraction, _ := bytes.Cut(bytes.TrimSpace(value), []byte{'.'})
		ms, ok1 := number(whole)
		ns, ok2 := number(fraction)
		if ok1 && ok2 && len(fraction) == 6 && ms < uint64(1<<62)/uint64(time.Millisecond) {
			at = time.Duration(ms)*time.Millisecond + time.Duration(ns)
		}
		return false
	})
	if at < 0 {
		return 0, badFormat("sched")
	}
	return at, nil
}

// ParseBits returns 32 or 64 for the program of a /proc/PID/auxv.
func ParseBits(b []byte) (int, error) {
	order := binary.NativeEndian
	wide := isVector(b, 8, order.Uint64)
	narrow := isVector(b, 4, func(b []byte) uint64 { return uint64(order.Uint32(b)) })
	switch {
	case wide && !narrow:
		return 64, nil
	case narrow && !wide:
		return 32, nil
	}
	return 0, badFormat("auxv")
}

// isVector reports whether b consists of pairs of words, types and values, that include
// the page size and end with type 0.
func isVector(b []byte, size int, word func([]byte) uint64) bool {
	const null, pageSize, most = 0, 6, 1024 // types are below 64 so far
	paged := false
	for ; len(b) >= 2*size; b = b[2*size:] {
		kind, value := word(b), word(b[size:])
		switch {
		case kind == null:
			return paged
		case kind > most:
			return false
		case kind == pageSize:
			paged = value >= 4096 && value&(value-1) == 0
		}
	}
	return false
}
