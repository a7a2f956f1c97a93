package rejoin

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRunFails: Run returns what failed in the new process, and leaves no process behind.
// The tests of the commands cover success: here, Run would start this test again.
func TestRunFails(t *testing.T) {
	for path, want := range map[string]error{
		"/dev/null":          unix.EINVAL, // not a namespace
		"/proc/self/ns/ipc":  unix.EINVAL, // of another kind
		"/proc/self/ns/user": unix.EINVAL, // the process is in it already
	} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		status, err := Run(file)
		var call *os.SyscallError
		if !errors.Is(err, want) || !errors.As(err, &call) || call.Syscall != "setns" || status != 0 {
			t.Errorf("%s: status %d, %v; want setns: %v", path, status, err, want)
		}
		file.Close()
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("wait4: %v: a process is left", err)
	}
}
