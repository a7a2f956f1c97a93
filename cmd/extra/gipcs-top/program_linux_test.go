package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// A terminal is the other side of a program's terminal.
type terminal struct {
	t testing.TB
	*os.File
	tty    *os.File
	before *unix.Termios
	seen   bytes.Buffer // everything that was written to it
	read   int          // how much of that await has passed
}

func newTerminal(t testing.TB) *terminal {
	t.Helper()
	master, tty, err := pty.Open()
	check(t, err)
	// tty stays open: after a panic, the reader of bubbletea may use it when interact has returned.
	t.Cleanup(func() { check(t, master.Close()) })
	check(t, pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}))
	term := &terminal{t: t, File: master, tty: tty}
	term.before = term.state()
	return term
}

func (term *terminal) state() *unix.Termios {
	state, err := unix.IoctlGetTermios(int(term.tty.Fd()), unix.TCGETS)
	check(term.t, err)
	return state
}

// await reads until the program has written a text after the last one that was awaited.
func (term *terminal) await(text string) {
	term.t.Helper()
	buf := make([]byte, 4096)
	for {
		if at := bytes.Index(term.seen.Bytes()[term.read:], []byte(text)); at >= 0 {
			term.read += at + len(text)
			return
		}
		n, err := term.Read(buf)
		if err != nil {
			term.t.Fatalf("%v; it has not written %q, but %q", err, text, term.seen.Bytes())
		}
		term.seen.Write(buf[:n])
	}
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	_, err := term.WriteString(keys)
	check(term.t, err)
}

// Sequences that a program writes when it takes the screen, and when it gives it back.
const (
	enterScreen = "\x1b[?1049h"
	leaveScreen = "\x1b[?1049l"
	showCursor  = "\x1b[?25h"
)

// restored waits for the end of the program, and checks that the terminal is as before.
func (term *terminal) restored(end func() error) error {
	term.t.Helper()
	term.await(leaveScreen)
	err := end()
	if !bytes.Contains(term.seen.Bytes()[bytes.LastIndex(term.seen.Bytes(), []byte(enterScreen)):], []byte(showCursor)) {
		term.t.Error("the cursor is hidden")
	}
	if now := term.state(); *now != *term.before {
		term.t.Errorf("the terminal's state is %+v, was %+v", now, term.before)
	}
	return err
}

// start starts the program on a terminal of its own.
func (term *terminal) start(program string, args ...string) *exec.Cmd {
	term.t.Helper()
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR=")
	c.Stdin, c.Stdout, c.Stderr = term.tty, term.tty, term.tty
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: unix.SIGKILL}
	check(term.t, c.Start())
	term.t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill() // it may have ended
			_ = c.Wait()         // its status does not matter any more
		}
	})
	return c
}

// TestProgram uses the program: it filters, describes an object and removes it.
func TestProgram(t *testing.T) {
	s := segment(t, 3<<20)
	segment(t, 5<<20)
	term := newTerminal(t)
	c := term.start(ipctest.Build(t, "."), "--interval", "100ms")
	term.await(enterScreen)
	term.await("2 objects")
	term.press("/size < 4000000\r")
	term.await("1 shown")
	term.press("\r")
	term.await("verdict:")
	check(t, pty.Setsize(term.File, &pty.Winsize{Rows: 40, Cols: 120}))
	term.await("perms:")
	term.press("x")
	term.await(fmt.Sprintf("Remove shm:%d? [y/N]", s))
	term.press("y")
	term.await("was removed")
	if _, err := s.StatAny(); err == nil {
		t.Error("it was not removed")
	}
	term.press("q")
	check(t, term.restored(c.Wait))
}

// TestSignals ends the program by signals.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			term := newTerminal(t)
			c := term.start(ipctest.Build(t, "."), "--interval", "100ms")
			term.await(enterScreen)
			term.await("There are no objects.")
			check(t, c.Process.Signal(sig))
			check(t, term.restored(c.Wait))
		})
	}
}

// TestColours checks that NO_COLOR is obeyed, and that the selected row is visible all the
// same.
func TestColours(t *testing.T) {
	segment(t, 4096)
	for _, value := range []string{"", "1"} {
		t.Setenv("NO_COLOR", value)
		term := newTerminal(t)
		done := make(chan error, 1)
		env := []string{"TERM=xterm-256color", "NO_COLOR=" + value}
		m := newSession(t, newWorld(), 80, 24).model
		go func() { done <- interact(t.Context(), m, term.tty, term.tty, env) }()
		term.await("1 object ")
		term.await("shm:")
		term.press("q")
		check(t, term.restored(func() error { return <-done }))
		if coloured := bytes.Contains(term.seen.Bytes(), []byte("\x1b[34m")); coloured != (value == "") {
			t.Errorf("NO_COLOR=%q: coloured: %v: %q", value, coloured, term.seen.Bytes())
		}
		if !bytes.Contains(term.seen.Bytes(), []byte("\x1b[7m")) {
			t.Errorf("NO_COLOR=%q: no row is highlighted", value)
		}
	}
}

// TestPanic breaks the model. The terminal must be restored all the same.
func TestPanic(t *testing.T) {
	if ipctest.UnderRace() {
		t.Skip("the race detector reports that after a panic bubbletea closes its reader while it reads")
	}
	term := newTerminal(t)
	stderr := os.Stderr
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	check(t, err)
	os.Stderr = null // for the stack
	defer func() {
		os.Stderr = stderr
		check(t, null.Close())
	}()
	done := make(chan error, 1)
	m := newSession(t, newWorld(), 80, 24).model
	m.glyphs.levels = nil // View panics when there is a history to draw
	go func() { done <- interact(t.Context(), m, term.tty, term.tty, []string{"TERM=xterm-256color"}) }()
	term.await("There are no objects.")
	segment(t, 4096)
	term.press("pp") // collects
	if err := term.restored(func() error { return <-done }); err == nil || errors.Is(err, tea.ErrProgramKilled) || !strings.Contains(err.Error(), "mistake") {
		t.Errorf("it ends with %v", err)
	}
}

// TestCancelled ends the context, as a signal does.
func TestCancelled(t *testing.T) {
	term := newTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	m := newSession(t, newWorld(), 80, 24).model
	go func() { done <- interact(ctx, m, term.tty, term.tty, []string{"TERM=xterm-256color"}) }()
	term.await(enterScreen)
	cancel()
	check(t, term.restored(func() error { return <-done }))
}

func TestOnce(t *testing.T) {
	program := ipctest.Build(t, ".")
	s := segment(t, 1<<20)
	set(t, 1)
	out, err := exec.Command(program, "--once", "--json", "--interval", "100ms", "--sort", "-size", "--where", `kind != "sem"`).Output()
	check(t, err)
	var rows []map[string]any
	check(t, json.Unmarshal(out, &rows))
	if len(rows) != 1 || rows[0]["kind"] != "shm" || rows[0]["id"] != float64(s) || rows[0]["size"] != float64(1<<20) ||
		rows[0]["attached"] != 0.0 || rows[0]["attached_per_second"] != 0.0 || rows[0]["messages"] != nil || rows[0]["name"] != nil {
		t.Errorf("%s", out)
	}
	out, err = exec.Command(program, "--once", "--interval", "100ms", "--sort", "object").Output()
	check(t, err)
	if lines := strings.Split(string(out), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "KIND") || !strings.HasPrefix(lines[1], "shm") || !strings.HasPrefix(lines[2], "sem") {
		t.Errorf("%s", out)
	}
}

func TestBadInput(t *testing.T) {
	program := ipctest.Build(t, ".")
	for args, want := range map[string]string{
		"":                     "standard input or output is no terminal; --once prints a listing",
		"--interval soon":      "--interval: ",
		"--interval 10ms":      "--interval: 10ms is too short; the shortest is 100ms",
		"--sort colour":        `--sort: there is no column "colour"; the columns are object, owner, size, `,
		"--where kind==":       "--where: ",
		"--json":               "--format and --json belong to --once",
		"--once --format xyz":  "xyz",
		"now":                  `unexpected argument "now"; expected none`,
		"--nosuch":             "unrecognized option",
		"--once --where size/": "--where: ",
	} {
		out, err := exec.Command(program, strings.Fields(args)...).CombinedOutput()
		var status *exec.ExitError
		if said := string(out); !errors.As(err, &status) || status.ExitCode() != 2 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "gipcs-top: ") || !strings.Contains(said, want) {
			t.Errorf("%s: %v, %s; want %s", args, err, said, want)
		}
	}
	c := exec.Command(program)
	term := newTerminal(t)
	c.Env = append(os.Environ(), "TERM=dumb")
	c.Stdin, c.Stdout, c.Stderr = term.tty, term.tty, term.tty
	var status *exec.ExitError
	if err := c.Run(); !errors.As(err, &status) || status.ExitCode() != 2 {
		t.Errorf("TERM=dumb: %v", err)
	}
	term.await("cannot move its cursor")
}

// TestDeaf ends the program while nobody reads what it writes.
func TestDeaf(t *testing.T) {
	term := newTerminal(t)
	fd := int(term.tty.Fd())
	check(t, unix.SetNonblock(fd, true))
	for err := error(nil); err == nil; { // until it is full
		_, err = unix.Write(fd, []byte("x"))
	}
	check(t, unix.SetNonblock(fd, false))
	c := term.start(ipctest.Build(t, "."))
	for *term.state() == *term.before {
		time.Sleep(time.Millisecond)
	}
	check(t, c.Process.Signal(unix.SIGTERM))
	_ = c.Wait() // it may have had the time to write everything
	if now := term.state(); *now != *term.before {
		t.Errorf("the terminal's state is %+v, was %+v", now, term.before)
	}
}

// TestGone takes the terminal away from a program that gets no SIGHUP.
func TestGone(t *testing.T) {
	master, tty, err := pty.Open()
	check(t, err)
	c := exec.Command(ipctest.Build(t, "."))
	c.Env = append(os.Environ(), "TERM=xterm-256color")
	c.Stdin, c.Stdout = tty, tty
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
	check(t, c.Start())
	check(t, tty.Close())
	_, err = master.Read(make([]byte, 1))
	check(t, err)
	check(t, master.Close())
	if err := c.Wait(); err == nil {
		t.Error("it succeeds")
	}
}
