//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
)

// lifelineEnv tells a half of the demo or of a benchmark that its file descriptor 3 is
// the reading end of a pipe on which nothing is ever written.
const lifelineEnv = "GSHM_LIFELINE"

// A lifeline is such a pipe. The halves end when it does. A signal for the parent's
// death (PR_SET_PDEATHSIG) would come too early: files are closed after semaphore
// operations were undone, so that whoever sees the pipe end no longer finds the
// parent among the users of the session, and knows whether he is the last one.
type lifeline struct{ reading, writing *os.File }

func newLifeline() (l lifeline, err error) {
	l.reading, l.writing, err = os.Pipe()
	return l, err
}

// tie lets cmd, which was not started yet, end with this process.
func (l lifeline) tie(cmd *exec.Cmd) {
	cmd.ExtraFiles = []*os.File{l.reading}
	cmd.Env = append(os.Environ(), lifelineEnv+"=3")
}

func (l lifeline) close() {
	l.reading.Close()
	l.writing.Close()
}

// withParent returns a context that is also done when the gshm that started this
// process, if one did, is gone.
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
