package hosts

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Rejected is the error of a host whose gipcs has refused the command line.
type Rejected struct{ Message string }

func (r *Rejected) Error() string {
	return "its gipcs, perhaps an older one, rejects the command line: " + r.Message
}

// Exit statuses: of a shell that cannot run a program, and of ssh when it fails itself.
const (
	notExecutable = 126
	notFound      = 127
	sshFailed     = 255
)

// outcome returns the exit status of the command, or why it has no complete answer. err
// is what waiting for ssh returned.
func outcome(cmd *exec.Cmd, err error, said []string) (status int, failed error) {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // a ControlPersist master holds the pipes
		return 0, nil
	case !errors.As(err, &exit):
		return 0, err
	}
	state := exit.Sys().(syscall.WaitStatus)
	if state.Signaled() {
		return 0, fmt.Errorf("%s was ended by the signal %v", filepath.Base(cmd.Args[0]), state.Signal())
	}
	last := ""
	if len(said) > 0 {
		last = withoutName(said[len(said)-1])
	}
	switch status = state.ExitStatus(); status {
	case 1, 3:
		return status, nil
	case 2:
		return 0, &Rejected{last}
	case notFound:
		return 0, fmt.Errorf("gipcs is not installed there, or not on the PATH of its shell (%s); --remote-gipcs says where it is", last)
	case notExecutable:
		return 0, fmt.Errorf("gipcs cannot be run there: %s", last)
	case sshFailed:
		return 0, errors.New(connectionFailed(last))
	}
	if last == "" {
		return 0, fmt.Errorf("gipcs ended there with status %d and no message", status)
	}
	return 0, fmt.Errorf("gipcs ended there with status %d: %s", status, last)
}

// connectionFailed returns what ssh said last, and what to do about it.
func connectionFailed(last string) string {
	switch {
	case last == "":
		return "ssh failed without a message"
	case strings.Contains(last, "Host key verification failed"):
		return last + " Connect once with ssh to check its key and accept it"
	default:
		return last
	}
}

// withoutName returns a message of gipcs without the name that begins it.
func withoutName(line string) string { return strings.TrimPrefix(line, "gipcs: ") }
