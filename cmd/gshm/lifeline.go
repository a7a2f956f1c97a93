//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// If the environment variable lifelineEnv is set, another gshm started this process, and
// file descriptor 3 is the reading end of a pipe to which nothing is ever written.
const lifelineEnv = "GSHM_LIFELINE"

// A lifeline is such a pipe. Child processes that inherit it end when the parent does. A
// signal for the parent's death (PR_SET_PDEATHSIG) would come too early. The kernel undoes
// semaphore operations before it closes files, so when a child sees the end of the pipe,
// the parent is no longer counted among the users of the session, and the child knows
// whether it is the last one.
type lifeline struct{ reading, writing *os.File }

func newLifeline() (l lifeline, err error) {
	l.reading, l.writing, err = os.Pipe()
	return l, err
}

// command returns a command that runs gshm with these arguments and ends with this process.
// It has its own process group, so that an interrupt from the terminal reaches only the
// parent.
func (l lifeline) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "gshm"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{l.reading}
	cmd.Env = append(os.Environ(), lifelineEnv+"=3")
	return cmd
}

func (l lifeline) close() {
	l.reading.Close()
	l.writing.Close()
}

// withParent returns a context that is also done when the gshm that started this process
// ends, if gshm started it.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if os.Getenv(lifelineEnv) != "" {
		go func() {
			_, _ = os.NewFile(3, "lifeline").Read(make([]byte, 1)) // returns at the end of the pipe
			cancel()
		}()
	}
	return ctx, cancel
}
