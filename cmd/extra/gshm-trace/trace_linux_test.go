package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/command/mantest"
	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

func TestManPage(t *testing.T) { mantest.Check(t, app(), "../../../docs/man/gshm-trace.1") }

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build builds the program that is tested.
func build(t testing.TB) string { t.Helper(); return ipctest.Build(t, ".") }

// acts returns the program of which each test runs one act.
func acts(t testing.TB) string { return ipctest.Compile(t, "testdata/acts.c", "-pthread") }

// A result is what a program did.
type result struct {
	stdout, stderr string
	status         int
	trace          string
}

// finish runs a program to its end.
func finish(t testing.TB, cmd *exec.Cmd) (r result) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r.status = cmd.ProcessState.ExitCode()
	r.stdout, r.stderr = stdout.String(), stderr.String()
	return r
}

// trace runs a program under gshm-trace, with flags, and returns its trace. What the program
// prints does not contain the trace.
func trace(t testing.TB, flags []string, argv ...string) result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	args := append(append([]string{"-o", file}, flags...), "--")
	r := finish(t, exec.Command(build(t), append(args, argv...)...))
	text, err := os.ReadFile(file)
	check(t, err)
	r.trace = string(text)
	return r
}

// count returns how often a pattern matches the trace.
func (r result) count(pattern string) int {
	return len(regexp.MustCompile("(?m)"+pattern).FindAllString(r.trace, -1))
}

// TestSameResults runs programs with and without the tracer: threads that contend, forks,
// signals at 1 kHz, an execve in a second thread, restarted calls, and what is inherited.
func TestSameResults(t *testing.T) {
	program := acts(t)
	for _, act := range []string{"threads", "forks", "signals", "execute", "hold", "restart", "state", "nosuch"} {
		plain := finish(t, exec.Command(program, act))
		traced := trace(t, nil, program, act)
		// The number of a set is never the same.
		number := regexp.MustCompile(`^[0-9]+\n$`)
		if act == "execute" && number.MatchString(plain.stdout) && number.MatchString(traced.stdout) {
			plain.stdout = traced.stdout
		}
		if traced.stdout != plain.stdout || traced.stderr != plain.stderr || traced.status != plain.status {
			t.Errorf("%s: status %d\n%s%s\nwithout the tracer: status %d\n%s%s", act, traced.status, traced.stdout, traced.stderr, plain.status, plain.stdout, plain.stderr)
		}
	}
}

func TestThreads(t *testing.T) {
	r := trace(t, nil, acts(t), "threads")
	down, up := r.count(`\{0, -1, 0\}\], 1.* = 0 <`), r.count(`\{0, 1, 0\}\], 1.* = 0 <`)
	if down != 800 || up != 801 || r.count(`^\[[0-9]+/[0-9]+\] `) != 1600 {
		t.Errorf("%d downs and %d ups of 800 and 801:\n%s", down, up, r.trace)
	}
}

// TestForks traces the children of fork, vfork and clone.
func TestForks(t *testing.T) {
	r := trace(t, nil, acts(t), "forks")
	if r.count(`\] is acts, a child of `) != 4 || r.count(`\{0, 1, 0\}\], 1.* = 0 <`) != 3 {
		t.Errorf("%s", r.trace)
	}
}

// TestSignals counts waits that signals interrupt at 1 kHz: the calls that continue them are
// the same wait.
func TestSignals(t *testing.T) {
	r := trace(t, []string{"-c", "--format", "ndjson"}, acts(t), "signals")
	m := regexp.MustCompile(`"semaphores":"1","calls":([0-9]+),"errors":([0-9]+),"waits":([0-9]+),`).FindStringSubmatch(r.trace)
	if m == nil || m[3] != "20" || len(m[2]) < 2 {
		t.Errorf("the waits for semaphore 1 are not 20: %q in\n%s", m, r.trace)
	}
}

// TestExecute has a call that never returns, as another thread executes a program.
func TestExecute(t *testing.T) {
	r := trace(t, nil, acts(t), "execute")
	if r.count(`/[0-9]+\] semtimedop\([0-9]+, \[\{0, -1, 0\}\], 1, NULL\) = \? <`) != 1 || r.count(`^\[[0-9]+\] is exe, `) != 1 || r.count(`^\[[0-9]+\] semctl\([0-9]+, 0, IPC_RMID, NULL\) = 0 <`) != 1 {
		t.Errorf("%s", r.trace)
	}
}

// TestRestart stops and continues a process that waits: the kernel restarts the call.
func TestRestart(t *testing.T) {
	r := trace(t, nil, acts(t), "restart")
	if r.count(`restart_syscall\(<futex\(0x[0-9a-f]+<anon:[0-9]+\+0x0>, FUTEX_WAIT, .*\)>\) = -1 ETIMEDOUT`) != 1 {
		t.Errorf("%s", r.trace)
	}
	r = trace(t, []string{"-c", "--json"}, acts(t), "restart")
	if r.count(`"waits":1,`) != 1 {
		t.Errorf("%s", r.trace)
	}
}

// TestMutexes names the memory in which the mutexes lie that processes wait for.
func TestMutexes(t *testing.T) {
	r := trace(t, nil, acts(t), "mutexes")
	id := strings.TrimSpace(r.stdout)
	for _, want := range []string{`<shm:` + id + `\+0x40>, FUTEX_WAIT, `, `<anon:[0-9]+\+0x0>, FUTEX_WAIT, `, `<pshm:/acts\+0x1000>, FUTEX_WAIT, `} {
		if r.count(want) == 0 {
			t.Errorf("no %s in\n%s", want, r.trace)
		}
	}
}

// TestHolder finds the process that held a semaphore while another one waited.
func TestHolder(t *testing.T) {
	r := trace(t, []string{"-c", "--format", "csv"}, acts(t), "hold")
	// object,key,semaphores,calls,errors,waits,waited,p50,p99,max,holder_pid,holder,held
	m := regexp.MustCompile(`(?m)^sem:[0-9]+,[^,]*,0,[0-9]+,0,2,[0-9]+\.[0-9]+,.*,([0-9]+),acts,[0-9]+\.[0-9]+\r$`).FindStringSubmatch(r.trace)
	if m == nil {
		t.Fatalf("%s", r.trace)
	}
	folded := trace(t, []string{"--folded"}, acts(t), "hold")
	if folded.count(`^acts;sem:[0-9]+\[0\];sem(timed)?op [1-9][0-9]{5,}$`) != 1 {
		t.Errorf("%s", folded.trace)
	}
}

// TestDemo runs our own demo: two processes in Go.
func TestDemo(t *testing.T) {
	gshm := ipctest.Build(t, "../../gshm")
	args := []string{gshm, "demo", "--pause", "1ms"}
	plain := finish(t, exec.Command(args[0], args[1:]...))
	traced := trace(t, nil, args...)
	numbers := regexp.MustCompile(`(0x)?[0-9a-f]{6,} *|[0-9]+ *`)
	lines := func(s string) string {
		all := strings.Split(numbers.ReplaceAllString(s, "N"), "\n")
		slices.Sort(all) // the processes print at the same time
		return strings.Join(all, "\n")
	}
	if lines(traced.stdout) != lines(plain.stdout) || traced.status != plain.status {
		t.Errorf("status %d\n%s\nwithout the tracer: status %d\n%s", traced.status, traced.stdout, plain.status, plain.stdout)
	}
	for _, call := range []string{"shmget", "shmat", "semget", "semctl", "semop", "shmctl"} {
		if traced.count(`\] `+call+`\(`) == 0 {
			t.Errorf("no %s in\n%s", call, traced.trace)
		}
	}
}

// TestInitdb makes a database cluster of PostgreSQL, as another user.
func TestInitdb(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(programs) == 0 {
		t.Skip("PostgreSQL is not installed: install postgresql")
	}
	dir, err := os.MkdirTemp("", "gipc-initdb-")
	check(t, err)
	defer os.RemoveAll(dir)
	postgres, err := user.Lookup("postgres") // initdb wants a user with a name
	check(t, err)
	uid, err := strconv.Atoi(postgres.Uid)
	check(t, err)
	check(t, os.Chown(dir, uid, uid))
	file := filepath.Join(dir, "trace")
	cmd := exec.Command(build(t), "-o", file, "--", programs[len(programs)-1], "--no-sync", "-U", "postgres", "-D", filepath.Join(dir, "cluster"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	cmd.Dir = dir
	r := finish(t, cmd)
	text, err := os.ReadFile(file)
	check(t, err)
	r.trace = string(text)
	if r.status != 0 || !strings.Contains(r.stdout, "Success") {
		t.Fatalf("status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
	get, rm := r.count(`\] shmget\(.*IPC_CREAT.* = [0-9]+ <`), r.count(`\] shmctl\([0-9]+, IPC_RMID, NULL\) = 0 <`)
	if get == 0 || get != rm || r.count(`\] is postgres, a child of`) == 0 {
		t.Errorf("%d segments made, %d removed:\n%s", get, rm, r.trace)
	}
}

// TestOrdinaryUser traces without privileges.
func TestOrdinaryUser(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	program := acts(t)
	cmd := exec.Command(build(t), "--", program, "forks")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(ipctest.User(0)), Gid: uint32(ipctest.User(0))}}
	r := finish(t, cmd)
	if r.status != 0 || r.stdout != "3\n" || !strings.Contains(r.stderr, "IPC_RMID, NULL) = 0 <") {
		t.Errorf("status %d, %q, and\n%s", r.status, r.stdout, r.stderr)
	}
}

func TestBadInput(t *testing.T) {
	program := build(t)
	for args, want := range map[string]string{
		"":                                   "COMMAND is missing; write it after --",
		"true":                               "write -- before the command: gshm trace -- true",
		"true -c -- x":                       "write -- before the command: gshm trace -- true",
		"--nosuch -- true":                   "unrecognized option '--nosuch'",
		"-c --folded -- true":                "--summary and --folded exclude each other",
		"--folded --json -- true":            "--folded has a format of its own; leave out --format json",
		"-t -c -- true":                      "--time is for lines of calls; the other formats have no use for it",
		"--json -- true":                     "calls are printed as they come, in the format plain or ndjson; --format json needs --summary",
		"-f xml -c -- true":                  `unknown format "xml"`,
		"--output= -- true":                  "--output: the name of the file is empty",
		"-o /nosuch/file -- true":            "open /nosuch/file: no such file or directory",
		"-- nosuch-program":                  `exec: "nosuch-program": executable file not found in $PATH`,
		"-- /etc":                            `exec: "/etc": is a directory`,
		"-- " + "testdata/nosuch/x -o trace": `exec: "testdata/nosuch/x": stat testdata/nosuch/x: no such file or directory`,
	} {
		r := finish(t, exec.Command(program, strings.Fields(args)...))
		status := 2
		if strings.Contains(want, "exec:") || strings.Contains(want, "open ") {
			status = 1
		}
		if r.status != status || r.stdout != "" || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %q%q; want %q", args, r.status, r.stdout, r.stderr, want)
		}
	}
}

// TestNoProgram runs a file that the kernel cannot execute.
func TestNoProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	check(t, os.WriteFile(file, []byte("text"), 0o700))
	r := finish(t, exec.Command(build(t), "--", file))
	if want := "gshm-trace: run " + file + ": exec format error\n"; r.status != 1 || r.stderr != want {
		t.Errorf("status %d, %q; want %q", r.status, r.stderr, want)
	}
}
