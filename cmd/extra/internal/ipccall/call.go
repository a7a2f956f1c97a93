//go:build linux

package ipccall

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Process answers questions about the process that makes a call. Its methods are called
// only between the start and the end of the call.
type Process interface {
	// ReadMemory fills p with the memory at addr and returns how many bytes it read.
	ReadMemory(p []byte, addr uint64) int
	// File returns the path of an open file, as /proc/PID/fd shows it, or "".
	File(fd int) string
	// MappingAt returns the mapping of a file that contains addr.
	MappingAt(addr uint64) (Mapping, bool)
}

// A Mapping is a line of /proc/PID/maps.
type Mapping struct {
	Start, Offset, Inode uint64
	Shared               bool
	Path                 string
}

// An Entry is a system call as it begins.
type Entry struct {
	Arch   uint32 // AUDIT_ARCH_*
	Number uint64
	Args   [6]uint64
}

// A Call is a decoded call. Begun by Decoder.Enter, it is complete after Decoder.Exit.
type Call struct {
	PID, TID int
	Program  string // the name of the process, as in ps(1)
	Start    time.Time
	Duration time.Duration

	Name   string   // the system call; for ipc(2), the call that it stands for
	Args   []string // as a C program would write them
	Object Object   // the zero Object if it is not known
	Former Object   // the name that the object had before the call, if it gets another one
	Key    Key      // of the object, if the call gives it
	Ops    []Sembuf // of semop and semtimedop
	Waits  bool     // the call may sleep

	Done   bool       // it has returned; false if the thread died
	Result int64      // -1 for an error
	Errno  unix.Errno // 0 for success; may be one of the kernel's internal errors, such as 512, ERESTARTSYS

	spec    *spec
	table   *table
	args    [6]uint64
	address uint64 // where ipc(2) stores the result of shmat
	byIPC   bool   // it came by ipc(2)
	single  string // the semaphore of semctl
}

// A Key is the key of a System V object.
type Key struct {
	Value uint32
	Known bool
}

// A Sembuf is an operation on a semaphore.
type Sembuf struct {
	Num   uint16
	Op    int16
	Flags uint16
}

// Interrupted reports whether a signal ended the call, after which a program usually makes
// it again.
func (c *Call) Interrupted() bool {
	return c.Done && (c.Errno == unix.EINTR || restarts(c.Errno) != "")
}

// restarts returns the name of an error that the kernel uses internally: it restarts the
// call, or turns the error into EINTR.
func restarts(e unix.Errno) string {
	switch e {
	case 512:
		return "ERESTARTSYS"
	case 513:
		return "ERESTARTNOINTR"
	case 514:
		return "ERESTARTNOHAND"
	case restartBlock:
		return "ERESTART_RESTARTBLOCK"
	}
	return ""
}

// restartBlock is the error after which the kernel continues a call by restart_syscall(2).
const restartBlock = unix.Errno(516)

// ErrnoName returns the name of the error of the call, or "".
func (c *Call) ErrnoName() string {
	if c.Errno == 0 {
		return ""
	}
	if name := restarts(c.Errno); name != "" {
		return name
	}
	if name := unix.ErrnoName(c.Errno); name != "" {
		return name
	}
	return strconv.Itoa(int(c.Errno))
}

// Text returns the call as C would write it.
func (c *Call) Text() string { return c.Name + "(" + strings.Join(c.Args, ", ") + ")" }

// ResultText returns what the call returned: a number, an address, an error, or ? if the
// thread died or the call is about to be restarted.
func (c *Call) ResultText() string {
	switch {
	case !c.Done:
		return "?"
	case restarts(c.Errno) != "":
		return "? " + c.ErrnoName()
	case c.Errno != 0:
		return "-1 " + c.ErrnoName()
	case c.spec.address:
		return pointer(uint64(c.Result))
	default:
		return strconv.FormatInt(c.Result, 10)
	}
}

// Semaphores returns the numbers of the semaphores that the call waits for, joined by
// commas: it decrements them or tests them for zero. A call that waits for none returns the
// numbers of the semaphores that it increments, reads or sets.
func (c *Call) Semaphores() string {
	waiting, all := "", c.single
	for _, op := range c.Ops {
		n := strconv.Itoa(int(op.Num))
		all = join(all, n)
		if op.Op <= 0 {
			waiting = join(waiting, n)
		}
	}
	if waiting == "" {
		return all
	}
	return waiting
}

// join appends n to a list, unless it is the last item.
func join(list, n string) string {
	switch {
	case list == "":
		return n
	case list == n || strings.HasSuffix(list, ","+n):
		return list
	default:
		return list + "," + n
	}
}

// FlagNames returns the names of the flags of an operation.
func (s Sembuf) FlagNames() []string {
	if s.Flags == 0 {
		return nil
	}
	return strings.Split(flags(uint64(s.Flags), semopFlags()), "|")
}
