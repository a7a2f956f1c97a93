package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Runner runs a command on hosts.
type Runner struct {
	SSH      []string      // the program that connects, and its first arguments
	Command  []string      // the words of the command
	Timeout  time.Duration // for one host
	Parallel int           // hosts at a time, at least 1

	// Accept, unless nil, is called with each line of an answer. If it returns an error
	// the host has failed. Hosts are served in parallel, so Accept is too.
	Accept func(line []byte) error
	// Input, unless nil, returns the command's standard input on a host. Without it, and
	// on every other descriptor, the command and ssh have nothing to read.
	Input func(host string) io.Reader
}

// An Answer is what became of the command on a host.
type Answer struct {
	Host string
	// Text is the standard output, whole lines; nil if Err is set.
	Text []byte
	// Messages are the lines of standard error, which are not empty.
	Messages []string
	// Status is the exit status of the command: 0, or 1 or 3 if it could not do everything.
	Status int
	// Err says why there is no complete answer. It is a *[Rejected] if the command line
	// was refused.
	Err error
}

// Lines yields the lines of the answer, without line ends.
func (a *Answer) Lines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(a.Text) {
			if !yield(bytes.TrimSuffix(line, []byte{'\n'})) {
				return
			}
		}
	}
}

// Run runs the command on all hosts, at most Parallel at a time, and yields the answers in
// the order of hosts. Each host has Timeout from the start of its ssh. When the loop or ctx
// ends, Run ends every ssh that is still running, and waits for it.
func (r *Runner) Run(ctx context.Context, hosts []string) iter.Seq[Answer] {
	return func(yield func(Answer) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		answers := make([]chan Answer, len(hosts))
		for i := range answers {
			answers[i] = make(chan Answer, 1)
		}
		next := make(chan int, len(hosts))
		for i := range hosts {
			next <- i
		}
		close(next)
		for range min(r.Parallel, len(hosts)) {
			running.Go(func() {
				for i := range next {
					answers[i] <- r.ask(ctx, hosts[i])
				}
			})
		}
		for _, answer := range answers {
			if !yield(<-answer) {
				return
			}
		}
	}
}

// grace is how long ssh may take to end, and its pipes to close.
const grace = time.Second

// ask runs the command on a host.
func (r *Runner) ask(ctx context.Context, host string) Answer {
	// PR_SET_PDEATHSIG acts when the thread that started ssh ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := context.WithTimeoutCause(ctx, r.Timeout, fmt.Errorf("no answer within %v", r.Timeout))
	defer stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	out := &lines{accept: r.Accept, fail: fail}
	said := &messages{}
	cmd := r.connect(ctx, host)
	cmd.Stdout, cmd.Stderr = out, said
	err := run(cmd)
	answer := Answer{Host: host, Messages: said.lines()}
	if cause := context.Cause(ctx); cause != nil {
		answer.Err = cause
		return answer
	}
	answer.Status, answer.Err = outcome(cmd, err, answer.Messages)
	if answer.Err == nil {
		answer.Err = out.end()
	}
	if answer.Err == nil {
		answer.Text = out.text
	}
	return answer
}

// connect prepares ssh. Its flags come after the user's own, which prevail. It turns off
// what a configuration may ask for and a command does not need: a terminal, an agent, X11,
// forwarded ports or a command of its own. Banners would be shown for each host.
func (r *Runner) connect(ctx context.Context, host string) *exec.Cmd {
	seconds := int64(max(1, math.Ceil(r.Timeout.Seconds())))
	args := slices.Concat(r.SSH[1:], []string{
		"-T", "-a", "-x",
		"-o", "BatchMode=yes", "-o", "ConnectTimeout=" + strconv.FormatInt(seconds, 10), "-o", "LogLevel=ERROR",
		"-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none", "--", host, Quote(r.Command),
	})
	cmd := exec.CommandContext(ctx, r.SSH[0], args...)
	if r.Input != nil {
		cmd.Stdin = r.Input(host)
	}
	// ssh gets a process group of its own, so that it ends with the programs that it has
	// started, such as a ProxyCommand. A ControlPersist master is in another session and
	// stays.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = 2 * grace
	return cmd
}

// run runs ssh. When the context ends, it sends SIGTERM to the process group, at which ssh
// removes its control socket. If ssh does not end, SIGKILL follows.
func run(cmd *exec.Cmd) error {
	var mutex sync.Mutex
	var kill *time.Timer
	cmd.Cancel = func() error {
		mutex.Lock()
		defer mutex.Unlock()
		group := -cmd.Process.Pid
		kill = time.AfterFunc(grace, func() { _ = unix.Kill(group, unix.SIGKILL) })
		return unix.Kill(group, unix.SIGTERM)
	}
	err := cmd.Run()
	mutex.Lock()
	defer mutex.Unlock()
	if kill != nil {
		kill.Stop()
	}
	return err
}

// maxLine and maxAnswer are the most bytes of a line and of an answer: an object takes
// about 500 bytes, and a system can have 96,000 objects.
const (
	maxLine   = 1 << 20
	maxAnswer = 64 << 20
)

// lines collects the lines of an answer. At the first bad line it calls fail, discards all
// lines and ignores the rest.
type lines struct {
	accept func([]byte) error
	fail   context.CancelCauseFunc
	text   []byte
	begun  int // where the last, incomplete line begins in text
	failed bool
}

func (l *lines) Write(p []byte) (int, error) {
	if l.failed {
		return len(p), nil
	}
	if err := l.add(p); err != nil {
		l.failed, l.text = true, nil
		l.fail(err)
	}
	return len(p), nil
}

func (l *lines) add(p []byte) error {
	searched := len(l.text)
	if searched+len(p) > maxAnswer {
		return fmt.Errorf("its answer is longer than %d MiB", maxAnswer>>20)
	}
	l.text = append(l.text, p...)
	for {
		n := bytes.IndexByte(l.text[searched:], '\n')
		end := searched + n
		if n < 0 {
			end = len(l.text)
		}
		if end-l.begun > maxLine {
			return fmt.Errorf("its answer has a line of more than %d MiB", maxLine>>20)
		}
		if n < 0 {
			return nil
		}
		if l.accept != nil {
			if err := l.accept(l.text[l.begun:end]); err != nil {
				return err
			}
		}
		l.begun, searched = end+1, end+1
	}
}

// end returns an error if the last line is incomplete.
func (l *lines) end() error {
	if l.begun < len(l.text) {
		return errors.New("its answer ends in the middle of a line")
	}
	return nil
}
