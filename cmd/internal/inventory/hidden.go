package inventory

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// A Hidden lists the processes that could not be inspected. Not seen does not mean absent:
// each of them may use any object that its credentials allow.
type Hidden struct {
	Processes []HiddenProcess // by pid
	// Unlisted is set if proc does not show every process (its mount option hidepid).
	// Their number is unknown.
	Unlisted bool
	// Fleeting is set if new processes appeared whenever all had been inspected.
	Fleeting bool
}

// A HiddenProcess is a living process that could not be inspected, or not completely.
type HiddenProcess struct {
	*Process // Comm is "" and UID is 0 if they are not known
	// Credentials are nil if they are unknown.
	Credentials *procfs.Credentials
	// Threads is 0 if the whole process is hidden: it may be in any IPC namespace, be
	// attached, have files open and wait. Otherwise it is the number of threads that are
	// hidden: they are in this namespace and may wait, and everything else about the
	// process is known.
	Threads int
	Why     error
}

// Any reports whether anything is hidden, even a single thread.
func (h *Hidden) Any() bool { return h.Unlisted || h.Fleeting || len(h.Processes) > 0 }

// Whole reports whether a whole process is hidden, which may have anything attached,
// mapped or open.
func (h *Hidden) Whole() bool {
	for i := range h.Processes {
		if h.Processes[i].Threads == 0 {
			return true
		}
	}
	return h.Unlisted || h.Fleeting
}

// Count returns the number of processes that are hidden, wholly or in part. Processes that
// proc does not list, or not for long enough, count as one.
func (h *Hidden) Count() int {
	if h.Unlisted || h.Fleeting {
		return len(h.Processes) + 1
	}
	return len(h.Processes)
}

// String counts the processes that could not be inspected, and names the first few with the
// reasons.
func (h *Hidden) String() string {
	const most = 3
	var parts []string
	if n := len(h.Processes); n > 0 {
		var names []string
		for i := range h.Processes[:min(n, most)] {
			names = append(names, h.Processes[i].String())
		}
		if n > most {
			names = append(names, fmt.Sprintf("%d more", n-most))
		}
		parts = append(parts, counted(n, "process", "processes")+" could not be inspected: "+strings.Join(names, ", "))
	}
	if h.Unlisted {
		parts = append(parts, "/proc does not list all processes (mount option hidepid)")
	}
	if h.Fleeting {
		parts = append(parts, "new processes are started faster than they can be inspected")
	}
	return strings.Join(parts, "; ")
}

// String returns the name of the process and why it is hidden.
func (p *HiddenProcess) String() string {
	why := "for an unknown reason"
	if p.Why != nil {
		why = p.Why.Error()
	}
	if errno := syscall.Errno(0); errors.As(p.Why, &errno) { // without the path, which only repeats the id
		why = errno.Error()
	}
	if p.Threads > 0 {
		why = counted(p.Threads, "thread", "threads") + ": " + why
	}
	return fmt.Sprintf("%s (%s)", p.name(), why)
}
