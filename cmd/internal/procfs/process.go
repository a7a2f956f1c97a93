package procfs

import (
	"bytes"
	"strconv"
	"time"
)

// Stat is what /proc/PID/stat tells that is of use here.
type Stat struct {
	PID          int
	Comm         string // at most 15 bytes of any kind
	State        byte   // R S D T t Z X I, see proc(5)
	PPID         int
	KernelThread bool
	Exiting      bool // the thread, with a process the first one, is ending or has ended
	// Start is how long after the boot the process was started; the resolution is
	// 10 ms.
	Start time.Duration
}

const (
	tick          = time.Second / 100 // USER_HZ, the same on every architecture of Go
	pfExiting     = 0x00000004        // PF_EXITING
	pfKernel      = 0x00200000        // PF_KTHREAD
	statFlags     = 9 - 3             // index of a field behind the name, which is field 2
	statStartTime = 22 - 3
)

// ParseStat reads /proc/PID/stat. The name stands in parentheses and may hold
// parentheses, blanks and newlines itself: it ends with the last of them.
func ParseStat(b []byte) (Stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
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
			s.KernelThread, s.Exiting = n&pfKernel != 0, n&pfExiting != 0
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
	// UIDs and GIDs are the real, the effective, the saved and the file system one.
	UIDs, GIDs [4]uint32
	Groups     []uint32 // supplementary
	// Caps are the effective capabilities. They count in the thread's own user
	// namespace.
	Caps uint64
}

// RUID returns the real user id.
func (c *Credentials) RUID() uint32 { return c.UIDs[0] }

// EUID returns the effective user id.
func (c *Credentials) EUID() uint32 { return c.UIDs[1] }

// Status is what /proc/PID/status tells that is of use here.
type Status struct {
	Credentials
	// NSPIDs are the ids of the process in its pid namespaces, that of the reader
	// first, its own last; nil before Linux 4.1.
	NSPIDs []int
}

// ParseStatus reads /proc/PID/status.
func ParseStatus(b []byte) (Status, error) {
	const all = 4 // Uid, Gid, Groups, CapEff
	var s Status
	found := 0
	lines(b, func(line []byte) bool {
		name, value, _ := bytes.Cut(line, []byte{':'})
		p := parser{rest: value}
		ok := true
		switch string(name) {
		case "Uid":
			s.UIDs, ok = fourIDs(&p)
		case "Gid":
			s.GIDs, ok = fourIDs(&p)
		case "Groups":
			s.Groups, ok = groups(&p)
		case "CapEff":
			s.Caps, ok = hexNumber(p.field())
		case "NSpid":
			s.NSPIDs = parsePIDs(&p)
			return true
		default:
			return true
		}
		if ok {
			found++
		}
		return ok && found < all
	})
	if found < all {
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

// ParseList splits what /proc/PID/cmdline and /proc/PID/environ hold: strings,
// each ended by a NUL. A process may write there what it likes.
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

// A Call is what /proc/PID/task/TID/syscall tells.
type Call struct {
	// Running is true for a thread that is on a processor or ready for one; then
	// nothing else is known.
	Running bool
	Number  int64 // -1: the thread sleeps outside of a system call
	Args    [6]uint64
}

// ParseCall reads /proc/PID/task/TID/syscall: "running", or a number followed, if
// it is not -1, by six arguments, and the stack and program counters.
func ParseCall(b []byte) (Call, error) {
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
	for i := range c.Args {
		digits, ok := bytes.CutPrefix(p.field(), []byte("0x"))
		if ok {
			c.Args[i], ok = hexNumber(digits)
		}
		if !ok {
			return Call{}, badFormat("syscall")
		}
	}
	return c, nil
}

// ParseExecStart reads /proc/PID/task/TID/sched and returns when, on the
// scheduler's clock, the thread was last accounted as running: for one that
// sleeps, when it fell asleep. That clock starts near the boot and is good for
// differences.
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
