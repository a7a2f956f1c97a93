package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// An actor is a half of the demo, run as a process.
type actor struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
	over  chan struct{} // closed when it has ended and err is set
	err   error
}

func (s *stage) start(ctx context.Context, half string) (*actor, error) {
	args := []string{
		half,
		"--key", s.Config.Key.String(), "--sem-key", s.Config.SemKey.String(), "--size", strconv.FormatInt(s.Config.Size, 10),
	}
	if s.Classic {
		args = append(args, "--classic")
	}
	cmd := s.Half(ctx, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &actor{
		name: fmt.Sprintf("%s %d", half, cmd.Process.Pid), cmd: cmd, stdin: stdin,
		lines: make(chan string, len(lines())+1), over: make(chan struct{}),
	}
	go a.attend(stdout)
	return a, nil
}

// attend passes on the lines that the actor prints, and records its end.
func (a *actor) attend(stdout io.Reader) {
	defer close(a.over)
	for in := bufio.NewScanner(stdout); in.Scan(); {
		a.lines <- in.Text()
	}
	close(a.lines)
	a.err = a.cmd.Wait()
}

// wait waits until the actors have ended, and returns the errors of those that failed.
// Being cancelled is not a failure.
func wait(actors []*actor) (err error) {
	for _, a := range actors {
		for range a.lines { // lines that nobody reads any more
		}
		<-a.over
		if a.err != nil && !errors.Is(a.err, context.Canceled) {
			err = errors.Join(err, fmt.Errorf("%s: %w", a.name, a.err))
		}
	}
	return err
}
