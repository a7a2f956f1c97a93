package ipctest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// role tells a process that Start made which of the roles it plays.
const role = "GIPC_TEST_ROLE"

// A Role is what a second process of a test does. Its standard output goes to the
// test line by line (Process.Line); an error fails the test. When the test is done
// with it, or is no more, the process exits wherever it is.
type Role func(args []string) error

// Play is the first statement of a TestMain whose tests use Start: in a process
// that Start made it plays the role and exits.
func Play(roles map[string]Role) {
	name := os.Getenv(role)
	if name == "" {
		return
	}
	play, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		os.Exit(2)
	}
	go listen()
	if err := play(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

var told = make(chan string)

// listen hands over what the test tells, and ends the process with the test.
func listen() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		told <- in.Text()
	}
	os.Exit(0)
}

// Told returns the next line that the test told this process (Process.Tell).
func Told() string { return <-told }

// A Process is a second process of a test, in the same IPC namespace.
type Process struct {
	Name string
	t    testing.TB
	pid  int
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	err  strings.Builder
	over bool
}

// Start runs the test program again in a role, as root if credential is nil. The
// process ends with the test at the latest.
func Start(t testing.TB, name string, credential *syscall.Credential, args ...string) *Process {
	t.Helper()
	SkipUnderQEMU(t, "it can not start the test program again")
	cmd := exec.Command("/proc/self/exe", args...)
	// Under the race detector a process would sleep for a second before it exits.
	cmd.Env = append(os.Environ(), role+"="+name, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return run(t, name, cmd)
}

// Run starts another program as a Process.
func Run(t testing.TB, program string, args ...string) *Process {
	t.Helper()
	return run(t, program, exec.Command(program, args...))
}

func run(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Name: name, t: t, cmd: cmd}
	cmd.Stderr = &p.err
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	p.pid = cmd.Process.Pid
	t.Cleanup(func() {
		if !p.over {
			p.Kill()
		}
	})
	return p
}

// PID returns the process id.
func (p *Process) PID() int { return p.pid }

// Line returns the next line that the process prints.
func (p *Process) Line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.Kill()
		p.t.Fatalf("%s: %v after %q; its standard error: %s", p.Name, err, line, &p.err)
	}
	return strings.TrimSuffix(line, "\n")
}

// Tell sends the process a line.
func (p *Process) Tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatalf("%s: %v", p.Name, err)
	}
}

// Wait lets the process come to its own end and returns what it printed and
// Line did not take. It fails the test if the process failed.
func (p *Process) Wait() string {
	p.t.Helper()
	rest, err := io.ReadAll(p.out)
	p.over = true
	if e := p.cmd.Wait(); err == nil {
		err = e
	}
	if err != nil {
		p.t.Errorf("%s: %v; its standard error: %s", p.Name, err, &p.err)
	}
	return string(rest)
}

// End closes the standard input of the process, which ends one that plays a Role,
// and waits for it.
func (p *Process) End() string {
	p.t.Helper()
	p.in.Close()
	return p.Wait()
}

// Kill ends the process by SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	p.over = true
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd, p.in, p.out = nil, nil, nil // a soak has many, and each is known until its end
}
