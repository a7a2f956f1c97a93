package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// A running tracer, whose program has printed the number of the set that it waits for.
type running struct {
	*exec.Cmd
	t     *testing.T
	lines *bufio.Reader // standard error: the trace
	set   sysv.Set
	child int // the traced program
}

// startWaiting starts a program that waits for its set to be removed.
func startWaiting(t *testing.T, flags ...string) *running {
	t.Helper()
	r := &running{Cmd: exec.Command(build(t), append(flags, "--", acts(t), "wait")...), t: t}
	stdout, err := r.StdoutPipe()
	check(t, err)
	stderr, err := r.StderrPipe()
	check(t, err)
	r.lines = bufio.NewReader(stderr)
	check(t, r.Start())
	t.Cleanup(func() {
		if r.ProcessState == nil {
			_ = r.Process.Kill()
			_ = r.Wait()
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	check(t, err)
	id, err := strconv.Atoi(strings.TrimSpace(line))
	check(t, err)
	r.set = sysv.Set(id)
	children := childrenOf(t, r.Process.Pid)
	if len(children) != 1 {
		t.Fatalf("the tracer has the children %v", children)
	}
	r.child = children[0]
	until(t, "it waits", func() bool {
		n, err := r.set.NCount(0)
		return n == 1 && err == nil
	})
	return r
}

// childrenOf returns the children of all threads of a process.
func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	check(t, err)
	for _, file := range files {
		text, _ := os.ReadFile(file) // the thread may have ended
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			check(t, err)
			pids = append(pids, child)
		}
	}
	return pids
}

// end waits for the end and returns the exit status, and the rest of the trace.
func (r *running) end() (status int, text string) {
	r.t.Helper()
	rest, err := io.ReadAll(r.lines)
	check(r.t, err)
	_ = r.Wait() // the status is checked
	return r.ProcessState.ExitCode(), string(rest)
}

// until waits until ok returns true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// state returns the state of a process, such as S or T, and its tracer.
func state(t testing.TB, pid int) (state byte, tracer int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	m := regexp.MustCompile(`(?s)State:\t(.).*TracerPid:\t([0-9]+)`).FindSubmatch(text)
	if m == nil {
		return 0, 0
	}
	tracer, err = strconv.Atoi(string(m[2]))
	check(t, err)
	return m[1][0], tracer
}

// TestWaitingShown shows a call before it returns if it takes long.
func TestWaitingShown(t *testing.T) {
	r := startWaiting(t, "-t")
	want := regexp.MustCompile(`^[0-9:]{8}\.[0-9]{6} \[[0-9]+\] sem(timed)?op\([0-9]+, \[\{0, -1, 0\}\], 1.*\) \.\.\.\n$`)
	for {
		line, err := r.lines.ReadString('\n')
		check(t, err)
		if want.MatchString(line) {
			break
		}
	}
	check(t, r.set.Remove())
	if status, text := r.end(); status != 43 || !regexp.MustCompile(`\{0, -1, 0\}\], 1.*\) = -1 EIDRM <[1-9]`).MatchString(text) {
		t.Errorf("status %d\n%s", status, text)
	}
}

// TestProgramKilled has a call that never returns.
func TestProgramKilled(t *testing.T) {
	r := startWaiting(t)
	check(t, unix.Kill(r.child, unix.SIGKILL))
	status, text := r.end()
	if status != 128+9 || !regexp.MustCompile(`\{0, -1, 0\}\], 1.*\) = \? <`).MatchString(text) {
		t.Errorf("status %d\n%s", status, text)
	}
	check(t, r.set.Remove())
}

// TestTracerKilled kills the tracer: its program must not run on, as the kernel would refuse
// its calls.
func TestTracerKilled(t *testing.T) {
	r := startWaiting(t, "-o", "/dev/null")
	if _, tracer := state(t, r.child); tracer == 0 {
		t.Errorf("process %d is not traced", r.child)
	}
	check(t, r.Process.Kill())
	_ = r.Wait()
	until(t, "the program has ended", func() bool {
		s, _ := state(t, r.child)
		return s == 0 || s == 'Z'
	})
	check(t, r.set.Remove())
}

// TestSignalPassedOn ends the tracer by signals, which its program handles.
func TestSignalPassedOn(t *testing.T) {
	r := startWaiting(t, "-c")
	check(t, r.Process.Signal(unix.SIGTERM))
	status, text := r.end()
	if status != 42 || !strings.Contains(text, fmt.Sprintf("sem:%d ", r.set)) {
		t.Errorf("status %d\n%s", status, text)
	}
	r = startWaiting(t, "-c")
	check(t, r.Process.Signal(unix.SIGINT)) // not from a terminal; kills the program
	status, text = r.end()
	if status != 128+2 || !strings.Contains(text, fmt.Sprintf("sem:%d ", r.set)) {
		t.Errorf("status %d\n%s", status, text)
	}
	check(t, r.set.Remove())
}

// TestLeftBehind has a program that ends before its child. The tracer stays, and a signal
// ends the child.
func TestLeftBehind(t *testing.T) {
	cmd := exec.Command(build(t), "--", "sh", "-c", acts(t)+" wait & exit 5")
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	stderr, err := cmd.StderrPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	_, err = lines.ReadString('\n')
	check(t, err)
	go io.Copy(io.Discard, stderr)
	until(t, "the shell has ended", func() bool { return len(childrenOf(t, cmd.Process.Pid)) == 0 })
	check(t, cmd.Process.Signal(unix.SIGTERM))
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 5 {
		t.Errorf("status %d", status)
	}
}

// TestStopped stops the program. It must stay stopped, and go on when it is continued.
func TestStopped(t *testing.T) {
	r := startWaiting(t)
	for range 3 {
		check(t, unix.Kill(r.child, unix.SIGSTOP))
		until(t, "it is stopped", func() bool { s, _ := state(t, r.child); return s == 't' || s == 'T' })
		time.Sleep(10 * time.Millisecond)
		if n, err := r.set.NCount(0); n != 0 || err != nil {
			t.Errorf("stopped, it waits: %d, %v", n, err)
		}
		check(t, unix.Kill(r.child, unix.SIGCONT))
		until(t, "it waits again", func() bool { n, err := r.set.NCount(0); return n == 1 && err == nil })
	}
	check(t, r.set.Remove())
	if status, text := r.end(); status != 43 || strings.Count(text, " = -1 EINTR ") != 3 {
		t.Errorf("status %d\n%s", status, text)
	}
}

// TestFullDisk writes the trace to a device that is always full. The program must not notice.
func TestFullDisk(t *testing.T) {
	for _, flags := range [][]string{nil, {"-c"}, {"--folded"}, {"--format", "ndjson"}} {
		args := append(flags, "-o", "/dev/full", "--", acts(t), "forks")
		r := finish(t, exec.Command(build(t), args...))
		if r.status != 1 || r.stdout != "3\n" || r.stderr != "gshm-trace: write /dev/full: no space left on device\n" {
			t.Errorf("%v: status %d, %q, %q", flags, r.status, r.stdout, r.stderr)
		}
	}
}

// TestReaderGone closes the pipe to which the trace is written. The program must not notice.
func TestReaderGone(t *testing.T) {
	read, write, err := os.Pipe()
	check(t, err)
	read.Close()
	var stdout strings.Builder
	cmd := exec.Command(build(t), "--", acts(t), "forks")
	cmd.Stdout, cmd.Stderr = &stdout, write
	_ = cmd.Run()
	write.Close()
	if status := cmd.ProcessState.ExitCode(); stdout.String() != "3\n" || status != 128+13 {
		t.Errorf("status %d, %q", status, &stdout)
	}
}

// TestTracedAlready runs a tracer under a tracer.
func TestTracedAlready(t *testing.T) {
	r := finish(t, exec.Command(build(t), "-o", filepath.Join(t.TempDir(), "trace"), "--", build(t), "--", "true"))
	if want := "gshm-trace: another program, such as strace or gdb, traces this one already, and only one can\n"; r.status != 1 || r.stderr != want {
		t.Errorf("status %d, %q; want %q", r.status, r.stderr, want)
	}
}

// TestRefused runs the tracer where a security policy refuses what it needs.
func TestRefused(t *testing.T) {
	program := build(t)
	for call, want := range map[int]string{
		unix.SYS_PTRACE: "gshm-trace: ptrace is refused (operation not permitted): a container needs a seccomp profile that allows ptrace(2), such as that of docker run --cap-add SYS_PTRACE\n",
		unix.SYS_PRCTL:  "gshm-trace: the kernel refuses a seccomp filter (operation not permitted): a container needs a profile that allows seccomp(2) and prctl(2)\n",
	} {
		var r result
		ipctest.OnThread(func() {
			check(t, refuse(call))
			r = finish(t, exec.Command(program, "--", "true"))
		})
		if r.status != 1 || r.stderr != want {
			t.Errorf("status %d, %q; want %q", r.status, r.stderr, want)
		}
	}
}

// refuse makes the kernel refuse a call to the calling thread and its children.
func refuse(call int) error {
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(call), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	return install(code)
}

// TestDescriptors passes an open file on to the program: the tracer's own must not take its
// place.
func TestDescriptors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, []byte("contents"), 0o600))
	const script = `exec 3<"$1" 5<"$1"; shift; exec "$@"`
	run := func(before ...string) result {
		argv := append([]string{"-c", script, "sh", file}, before...)
		return finish(t, exec.Command("sh", append(argv, "sh", "-c", "cat <&3; cat <&5; ls /proc/self/fd | xargs")...))
	}
	plain, traced := run(), run(build(t), "--")
	if !strings.HasPrefix(plain.stdout, "contentscontents0 1 ") || traced != plain {
		t.Errorf("%+v\nwithout the tracer: %+v", traced, plain)
	}
}

// TestGarbage passes arguments that make no sense, by a program that cannot be wrong about
// its memory: all calls fail, and the tracer shows them.
func TestGarbage(t *testing.T) {
	r := trace(t, nil, acts(t), "garbage", "300")
	if r.status != 0 || r.count(`^\[`) < 250 || strings.ContainsAny(r.trace, "\x00\x1b") {
		t.Errorf("status %d, %s, %d lines\n%.3000s", r.status, r.stderr, r.count(`^\[`), r.trace)
	}
}

// TestJSON checks the lines against the tables of docs/json.md.
func TestJSON(t *testing.T) {
	text, err := os.ReadFile("../../../docs/json.md")
	check(t, err)
	for heading, r := range map[string]result{
		"gshm trace":           trace(t, []string{"--format", "ndjson"}, acts(t), "hold"),
		"gshm trace --summary": trace(t, []string{"-c", "--format", "ndjson"}, acts(t), "hold"),
	} {
		_, section, _ := strings.Cut(string(text), "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		known := make(map[string]bool)
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(section, -1) {
			known[m[1]] = true
		}
		if r.trace == "" {
			t.Errorf("%s: nothing", heading)
		}
		for line := range strings.Lines(r.trace) {
			var fields map[string]any
			check(t, json.Unmarshal([]byte(line), &fields))
			for name := range fields {
				if !known[name] {
					t.Errorf("%s: the field %s is not documented", heading, name)
				}
			}
			if len(fields) > len(known) || len(fields) == 0 {
				t.Errorf("%s: %s", heading, line)
			}
		}
	}
}

// TestKilledAtRandom kills the tracer, or all processes that it traces, at random moments.
// Nothing of them may be left. GIPC_SOAK sets the time.
func TestKilledAtRandom(t *testing.T) {
	program, acting := build(t), acts(t)
	for i := range ipctest.Rounds(t, 10, 1) {
		cmd := exec.Command(program, "-o", "/dev/null", "--", acting, "storm")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		check(t, cmd.Start())
		time.Sleep(time.Duration(i%10) * 5 * time.Millisecond)
		tracer := cmd.Process.Pid
		if i%2 == 0 {
			check(t, cmd.Process.Kill())
			_ = cmd.Wait()
		} else {
			until(t, "it has started", func() bool { return len(living(t, tracer)) > 1 })
			killTraced(t, cmd)
		}
		until(t, "all processes have ended", func() bool { return len(living(t, tracer)) == 0 })
		for info, err := range sysv.Sets() {
			check(t, err)
			check(t, sysv.Set(info.ID).Remove())
		}
	}
}

// killTraced kills what a tracer traces until the tracer ends.
func killTraced(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	for began := time.Now(); ; {
		select {
		case <-over:
			// The child that was to become the program may have been killed before.
			if status := cmd.ProcessState.ExitCode(); status != 128+9 && status != 1 {
				t.Errorf("status %d", status)
			}
			return
		default:
		}
		if time.Since(began) > patience {
			t.Fatal("the tracer does not end")
		}
		for _, pid := range living(t, cmd.Process.Pid) {
			if pid != cmd.Process.Pid {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}

// living returns the processes in a group that have not ended. Those that have may have to
// wait until init reaps them.
func living(t *testing.T, group int) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	check(t, err)
	for _, file := range files {
		text, _ := os.ReadFile(file) // the process may be gone
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, group
		if len(fields) > 2 && fields[0] != "Z" && fields[2] == strconv.Itoa(group) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			check(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}
