package tracer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/extra/internal/ipccall"
)

// A Command is a program to run and trace. It gets the standard input, output and error of
// this process, its environment and its working directory.
type Command struct {
	Path string   // as exec.LookPath returns it
	Argv []string // with the program's name
	// Signals are passed on to the program while it runs, and after its end to all
	// processes that it left behind. SIGINT and SIGQUIT are not if the terminal has sent
	// them to the program, too.
	Signals <-chan os.Signal
	// Text is set if the calls are to have Args.
	Text bool
}

// A Sink gets the calls, from one goroutine.
type Sink interface {
	// Begin is called before a call begins.
	Begin(c *ipccall.Call)
	// End is called when a call has returned, or when its thread has died. The thread
	// already runs on.
	End(c *ipccall.Call)
	// Process is called before the first call of a process, and before its first call after
	// it has executed another program.
	Process(pid, parent int, program string)
	// ThreadExited and Exited are called when a thread, or a process, has ended, for all
	// that made calls and perhaps for others.
	ThreadExited(tid int)
	Exited(pid int)
}

// Run runs a command until it and all processes that it started have ended, and returns how
// the command itself ended. If ctx is done, Run kills them all. It locks the calling
// goroutine to its thread, as the thread that started to trace must do all of it. Meanwhile
// SIGCHLD is ignored, so this process must not wait for other children.
//
// An error means that the program was not started.
func Run(ctx context.Context, command *Command, sink Sink) (unix.WaitStatus, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := &tracer{sink: sink, decoder: ipccall.NewDecoder(command.Text), threads: make(map[int]*thread), processes: make(map[int]*process), alive: make(map[int]bool)}
	ours, err := t.start(command)
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	// Each stop would send a SIGCHLD, which wakes another thread of this process.
	signal.Ignore(unix.SIGCHLD)
	defer signal.Reset(unix.SIGCHLD)
	over := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() { t.passOn(ctx, command.Signals, over) })
	t.loop()
	close(over)
	passing.Wait()
	if t.blind != nil {
		return 0, t.blind
	}
	if !t.started && ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if !t.started {
		message := make([]byte, 64)
		n, _ := ours.Read(message)
		return 0, failure(command.Path, string(message[:n]))
	}
	return t.status, nil
}

// A tracer traces the processes of one Run.
type tracer struct {
	sink      Sink
	decoder   *ipccall.Decoder
	threads   map[int]*thread  // only those stopped by the filter
	processes map[int]*process // likewise
	main      int              // the process of the command
	probed    bool             // the child has shown that calls can be seen
	blind     error            // why they cannot
	started   bool             // the command has replaced the child
	status    unix.WaitStatus  // of the command

	dying atomic.Bool // killAll was called
	mu    sync.Mutex
	alive map[int]bool // all traced threads
}

// start starts the child, seizes it and lets it become the command. It returns this side of
// the socket to the child.
func (t *tracer) start(command *Command) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "socket")
	defer theirs.Close()
	// The child keeps its descriptor under the same number: any other may be one that the
	// command inherits.
	if _, err := unix.FcntlInt(theirs.Fd(), unix.F_SETFD, 0); err != nil {
		ours.Close()
		return nil, fmt.Errorf("fcntl: %w", err)
	}
	argv := append([]string{childName, strconv.Itoa(pair[1]), command.Path}, command.Argv...)
	child, err := os.StartProcess("/proc/self/exe", argv, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		ours.Close()
		return nil, err
	}
	theirs.Close() // so that Read ends if the child dies
	t.main = child.Pid
	t.alive[t.main] = true
	if err = t.seize(ours); err == nil {
		err = child.Release() // wait4 reaps it
	}
	if err != nil {
		ours.Close()
		_ = child.Kill()
		_, _ = child.Wait() // it was killed
		return nil, err
	}
	return ours, nil
}

// seize begins to trace the child and lets it go on.
func (t *tracer) seize(ours *os.File) error {
	// The child says when it runs: os.StartProcess may return before its execve is complete.
	if _, err := ours.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("run %s: %w", childName, err)
	}
	if err := ptrace(unix.PTRACE_SEIZE, t.main, 0, options); err != nil {
		return refused(err, t.main)
	}
	_, err := ours.Write([]byte{0})
	return err
}

// passOn passes signals on to the traced processes, and kills them when ctx is done.
func (t *tracer) passOn(ctx context.Context, signals <-chan os.Signal, over <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			t.signal(s.(syscall.Signal))
		case <-ctx.Done():
			t.killAll()
			return
		case <-over:
			return
		}
	}
}

func (t *tracer) signal(s unix.Signal) {
	if (s == unix.SIGINT || s == unix.SIGQUIT) && inForeground() {
		return
	}
	t.mu.Lock()
	running := t.alive[t.main]
	t.mu.Unlock()
	t.kill(s, !running)
}

// inForeground reports whether the terminal sends its signals to this process, and so to the
// processes that are traced, unless they have left the process group.
func inForeground() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer terminal.Close()
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// killAll kills all traced processes, and from now on every new one.
func (t *tracer) killAll() {
	t.dying.Store(true)
	t.kill(unix.SIGKILL, true)
}

// kill sends a signal to the command, or to all traced processes.
func (t *tracer) kill(s unix.Signal, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tid := range t.alive {
		if all || tid == t.main {
			_ = unix.Kill(tid, s) // it may just have ended
		}
	}
}

// loop handles stops until no traced process is left.
func (t *tracer) loop() {
	const children = unix.WALL | unix.WNOTHREAD
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, children, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD
			return
		case status.Stopped():
			t.stopped(tid, status, time.Now())
		default:
			t.ended(tid, status)
		}
	}
}

// stopped handles a thread that has stopped, and resumes it.
func (t *tracer) stopped(tid int, status unix.WaitStatus, now time.Time) {
	const syscallStop = unix.SIGTRAP | 0x80
	if !t.alive[tid] { // only this goroutine writes
		t.mu.Lock()
		t.alive[tid] = true
		t.mu.Unlock()
		if t.dying.Load() { // it is new, and the killer did not see it
			_ = unix.Kill(tid, unix.SIGKILL)
		}
	}
	request, signal := unix.PTRACE_CONT, unix.Signal(0)
	var returned *ipccall.Call
	switch event := int(status) >> 16; {
	case event == unix.PTRACE_EVENT_SECCOMP:
		if !t.started {
			t.probe(tid)
		} else if t.enter(tid) {
			request = unix.PTRACE_SYSCALL
		}
	case status.StopSignal() == syscallStop:
		returned = t.exit(tid, now)
	case event == unix.PTRACE_EVENT_EXEC:
		t.exec(tid, now)
	case event == unix.PTRACE_EVENT_STOP:
		if status.StopSignal() != unix.SIGTRAP { // the process has been stopped, and shall stay so
			request = unix.PTRACE_LISTEN
		}
	case event != 0: // a new process or thread, which stops itself
	default:
		signal = status.StopSignal()
	}
	_ = resume(request, tid, signal) // ESRCH if it has been killed
	if returned != nil {
		t.sink.End(returned)
	}
}

// probe looks at the call that the child makes first.
func (t *tracer) probe(tid int) {
	info, err := getSyscallInfo(tid)
	switch {
	case err != nil:
		t.killAll()
		t.blind = fmt.Errorf("the kernel does not show the calls of a process (PTRACE_GET_SYSCALL_INFO: %w): gshm trace needs Linux 5.3 or later", err)
	case info.op == infoSeccomp:
		t.probed = true
	}
}

// enter begins a call, and reports whether its end is to be awaited.
func (t *tracer) enter(tid int) bool {
	info, err := getSyscallInfo(tid)
	if err != nil || info.op != infoSeccomp {
		return false
	}
	th := t.thread(tid)
	c := t.decoder.Enter(th, tid, ipccall.Entry{Arch: info.arch, Number: info.words[0], Args: [6]uint64(info.words[1:7])})
	if c == nil {
		return false
	}
	c.PID, c.Program = th.pid, th.program
	th.call = c
	if !th.announced {
		th.announced = true
		t.sink.Process(th.pid, th.parent, th.program)
	}
	c.Start = time.Now()
	t.sink.Begin(c)
	return true
}

// thread returns a thread. It reads what is known of its process only once for each program.
func (t *tracer) thread(tid int) *thread {
	th := t.threads[tid]
	if th == nil {
		p := newProcess(tid)
		if known := t.processes[p.pid]; known != nil {
			if known.executed {
				known.program, known.parent, known.executed = p.program, p.parent, false
			}
			p = known
		}
		t.processes[p.pid] = p
		th = &thread{process: p, tid: tid}
		t.threads[tid] = th
	}
	return th
}

// exit completes the call that a thread is in and returns it.
func (t *tracer) exit(tid int, now time.Time) *ipccall.Call {
	th := t.threads[tid]
	if th == nil || th.call == nil {
		return nil
	}
	info, err := getSyscallInfo(tid)
	if err != nil || info.op != infoExit {
		return nil
	}
	c := th.call
	th.call = nil
	c.Duration = now.Sub(c.Start)
	t.decoder.Exit(th, c, int64(info.words[0]), info.words[1]&0xff != 0)
	return c
}

// exec notes that a process has executed a program. All its other threads are gone, and the
// calling thread has the number of the process.
func (t *tracer) exec(pid int, now time.Time) {
	if !t.probed { // it has not begun to run
		t.killAll()
		t.blind = errors.New("gshm trace does not know the calls of this machine's programs, only those of x86-64, AArch64 and 32-bit x86")
	}
	t.started = true
	former, _ := eventMessage(pid)
	for tid, th := range t.threads {
		if th.pid == pid {
			t.threadEnded(tid, now)
		}
	}
	if int(former) != pid {
		t.mu.Lock()
		delete(t.alive, int(former))
		t.mu.Unlock()
	}
	if p := t.processes[pid]; p != nil {
		p.executed, p.announced = true, false
	}
}

// threadEnded forgets a thread. A call that it was in has no result.
func (t *tracer) threadEnded(tid int, now time.Time) {
	th := t.threads[tid]
	if th == nil {
		return
	}
	delete(t.threads, tid)
	if c := th.call; c != nil {
		c.Duration = now.Sub(c.Start)
		t.sink.End(c)
	}
	t.decoder.Ended(tid)
	t.sink.ThreadExited(tid)
}

// ended handles a thread that has ended.
func (t *tracer) ended(tid int, status unix.WaitStatus) {
	t.mu.Lock()
	delete(t.alive, tid)
	t.mu.Unlock()
	t.threadEnded(tid, time.Now())
	if t.processes[tid] != nil {
		delete(t.processes, tid)
		t.sink.Exited(tid)
	}
	if tid == t.main {
		t.status = status
	}
}

// refused explains why the kernel does not let the child be traced.
func refused(err error, child int) error {
	scope, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope") // without Yama there is no such file
	status, _ := os.ReadFile(procPath(child, "status"))
	return explained(err, strings.TrimSpace(string(scope)), string(status))
}

// explained explains an error of PTRACE_SEIZE by Yama's ptrace_scope and the child's status.
func explained(err error, scope, status string) error {
	const tracer, none = "TracerPid:\t", "TracerPid:\t0\n"
	switch {
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EACCES):
		return fmt.Errorf("ptrace: %w", err)
	case strings.Contains(status, tracer) && !strings.Contains(status, none):
		return errors.New("another program, such as strace or gdb, traces this one already, and only one can")
	case scope == "3":
		return fmt.Errorf("the kernel forbids tracing until the next boot (kernel.yama.ptrace_scope is 3): %w", err)
	case scope == "2":
		return fmt.Errorf("only root may trace (kernel.yama.ptrace_scope is 2): run gshm trace as root, or set it to 1: %w", err)
	default:
		return fmt.Errorf("ptrace is refused (%w): a container needs a seccomp profile that allows ptrace(2), such as that of docker run --cap-add SYS_PTRACE", err)
	}
}
