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

// The environment variable role tells a process that Start made which role to play.
const role = "GIPC_TEST_ROLE"

// A Role is what a test's second process does. Its standard output goes to the test
// line by line (Process.Line), and an error fails the test. When the test has finished
// or died, the process exits wherever it is.
type Role func(args []string) error

// Play must be the first statement of a TestMain whose tests use Start. In a process
// that Start made, it plays the role and exits.
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

// listen passes on the lines that the test sends, and exits when the test ends.
func listen() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		told <- in.Text()
	}
	os.Exit(0)
}

// Told returns the next line that the test sent with Process.Tell.
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
	SkipUnderQEMU(t, "it cannot start the test program again")
	cmd := exec.Command("/proc/self/exe", args...)
	// By default the race detector makes a process sleep for a second before it exits.
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

// Wait waits for the process to end by itself, and returns the output that Line did not
// take. It fails the test if the process failed.
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

// End closes the process's standard input, which ends a process that plays a Role, and
// waits.
func (p *Process) End() string {
	p.t.Helper()
	p.in.Close()
	return p.Wait()
}

// Kill kills the process and waits until it is gone.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	p.over = true
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd, p.in, p.out = nil, nil, nil // a soak makes many, and the test keeps each until it ends
}
