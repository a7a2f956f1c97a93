// Package doctor finds out which settings of this machine limit what gipcs, and programs
// that use IPC objects, can see and do, and what to do about them.
//
// Read collects the facts, and Examine judges them without asking the kernel anything.
package doctor

import (
	"errors"
	"io/fs"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// A Status is the result of a check.
type Status int

// The statuses.
const (
	OK      Status = iota
	Unknown        // could not be checked
	Warn           // limits what can be seen or done
	Fail           // something basic does not work
)

// String returns ok, unknown, warn or fail.
func (s Status) String() string { return [...]string{"ok", "unknown", "warn", "fail"}[s] }

// A Finding is a check with its result.
type Finding struct {
	Check   string
	Status  Status
	Found   string // in a few words
	Meaning string // what follows from it
	Remedy  string // a command or an advice; "" if there is nothing to do
}

// A Setting is the content of a file in /proc/sys or /sys.
type Setting struct {
	Value string
	Err   error
}

// Facts holds what Examine needs to know. Facts from /proc are meaningless if ProcErr is
// set.
type Facts struct {
	Release string // of the kernel
	UID     uint32 // effective
	Caps    uint64 // effective capabilities

	ProcErr      error  // why /proc is of no use
	AllPIDs      bool   // in the initial pid namespace
	InitListed   bool   // /proc lists process 1
	HidePID      string // mount option of /proc
	IPCNamespace uint64 // inode number of this process's, 0 if unknown
	Hidden       inventory.Hidden
	HiddenErr    error // why no process could be inspected
	PtraceScope  Setting
	Modules      Setting // security modules of the kernel

	Refused       []sysvipc.Refusal
	SysvipcErr    error // why /proc/sysvipc cannot be read
	Filtered      bool  // a seccomp filter applies
	RmidForced    Setting
	LogindRemoves bool
	LastSystemUID uint32
	Losers        []string // owners of present objects that logind removes

	Limits       []limits.Limit
	LimitsErr    error
	DefaultQueue uint64 // bytes of RLIMIT_MSGQUEUE that a queue takes; 0 if unknown
	AddressSpace uint64 // RLIMIT_AS

	Shm        ShmFacts
	QueuesErr  error // why the queues of this IPC namespace cannot be listed
	NoMqueue   bool  // the kernel has no POSIX queues
	ClockStep  time.Duration
	ClockKnown bool

	MaxUserNamespaces, UnprivilegedClone, ApparmorRestricts Setting
}

// ShmFacts describes /dev/shm.
type ShmFacts struct {
	Err      error // why there is none
	Tmpfs    bool
	WriteErr error // why the caller cannot create files in it
}

// Examine returns the findings, in the same order each time: what can be seen, then what
// removes objects, then what is nearly used up.
func (f *Facts) Examine() []Finding {
	list := []Finding{
		f.kernel(), f.proc(), f.pidNamespace(), f.hidePID(), f.processes(), f.ptraceScope(),
		f.ipcNamespace(), f.capability(), f.userNamespaces(), f.calls(),
		f.devShm(), f.devMqueue(), f.clock(), f.rmidForced(), f.logind(),
	}
	list = append(list, f.limits()...)
	return append(list, f.msgQueue(), f.addressSpace())
}

// Worst returns the worst status.
func Worst(list []Finding) (worst Status) {
	for _, x := range list {
		worst = max(worst, x.Status)
	}
	return worst
}

// unchecked is the finding of a check that could not be made.
func unchecked(check string, err error) Finding {
	return Finding{Check: check, Status: Unknown, Found: "not known", Meaning: "cannot be checked: " + err.Error()}
}

// errNoProc is the reason why a check that needs /proc could not be made.
var errNoProc = errors.New("it takes /proc")

// absent reports whether the kernel lacks a setting.
func (s Setting) absent() bool { return errors.Is(s.Err, fs.ErrNotExist) }

const (
	capSysPtrace = 1 << 19
	capSysAdmin  = 1 << 21
)

func (f *Facts) has(capability uint64) bool { return f.Caps&capability != 0 }

// asRoot returns the remedy for something that only root, or a caller with the capability,
// can see.
func (f *Facts) asRoot(capability string) string {
	if f.UID != 0 {
		return "sudo gipcs"
	}
	return "run gipcs with " + capability
}
