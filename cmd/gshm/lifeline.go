//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// If the environment variable lifelineEnv is set, another gshm started this one, and file
// descriptor 3 is the reading end of a pipe on which nothing is ever written.
const lifelineEnv = "GSHM_LIFELINE"

// A lifeline is such a pipe. The processes that it ties end when it does. A signal for the
// parent's death (PR_SET_PDEATHSIG) would come too early: the kernel closes files after it
// has undone semaphore operations, so a process that sees the end of the pipe no longer
// finds the parent among the users of the session, and knows whether it is the last one.
type lifeline struct{ reading, writing *os.File }

func newLifeline() (l lifeline, err error) {
	l.reading, l.writing, err = os.Pipe()
	return l, err
}

// command returns a gshm with these arguments that ends with this process. It is in a
// process group of its own, so that an interrupt from the terminal reaches only the
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

// withParent returns a context that also ends with the gshm that started this process, if
// one did.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if os.Getenv(lifelineEnv) != "" {
		go func() {
			_, _ = os.NewFile(3, "lifeline").Read(make([]byte, 1)) // only its end is waited for
			cancel()
		}()
	}
	return ctx, cancel
}
