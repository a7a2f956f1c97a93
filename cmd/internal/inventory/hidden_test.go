package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestHiddenString(t *testing.T) {
	denied := &fs.PathError{Op: "readlink", Path: "/proc/1/ns/ipc", Err: syscall.EACCES}
	process := func(pid int, comm string, threads int, why error) HiddenProcess {
		return HiddenProcess{Process: &Process{PID: pid, Comm: comm}, Threads: threads, Why: why}
	}
	for _, tt := range []struct {
		hidden     Hidden
		any, whole bool
		count      int
		text       string
	}{
		{},
		{
			Hidden{Unlisted: true},
			true, true, 1,
			"/proc does not list all processes (mount option hidepid)",
		},
		{
			Hidden{Fleeting: true},
			true, true, 1,
			"new processes are started faster than they can be inspected",
		},
		{
			Hidden{Processes: []HiddenProcess{process(1, "systemd", 0, fmt.Errorf("it: %w", denied))}},
			true, true, 1,
			"1 process could not be inspected: systemd[1] (permission denied)",
		},
		{
			Hidden{Processes: []HiddenProcess{process(7, "busy", 2, errors.New("they never came to rest"))}},
			true, false, 1,
			"1 process could not be inspected: busy[7] (2 threads: they never came to rest)",
		},
		{
			Hidden{Processes: []HiddenProcess{process(1, "a", 0, denied), process(2, "", 0, nil), process(3, "c", 1, syscall.EIO), process(4, "d", 0, denied)}, Unlisted: true},
			true, true, 5,
			"4 processes could not be inspected: a[1] (permission denied), process 2 (for an unknown reason), c[3] (1 thread: input/output error), 1 more; " +
				"/proc does not list all processes (mount option hidepid)",
		},
	} {
		h := &tt.hidden
		if h.Any() != tt.any || h.Whole() != tt.whole || h.Count() != tt.count || h.String() != tt.text {
			t.Errorf("%v, %v, %d, %q; want %v, %v, %d, %q", h.Any(), h.Whole(), h.Count(), h.String(), tt.any, tt.whole, tt.count, tt.text)
		}
	}
}
