package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// A terminal is a pseudo-terminal to run a program on.
type terminal struct {
	tty    *os.File
	screen *screen
	over   chan struct{} // closed when everything written is on the screen
}

// A screen records what is written to it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// newTerminal opens a terminal of 80 columns.
func newTerminal(t *testing.T) terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	check(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	check(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	check(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	term := terminal{tty, new(screen), make(chan struct{})}
	go func() {
		_, _ = io.Copy(term.screen, master) // ends with EIO once the terminal was closed for the last time
		master.Close()
		close(term.over)
	}()
	return term
}

// shows waits until the terminal's text matches pattern.
func (term terminal) shows(t *testing.T, pattern string) {
	t.Helper()
	if err := eventually(func() bool { return matches(term.screen.String(), pattern) }); err != nil {
		t.Fatalf("%v: %s on the terminal, which shows %q", err, pattern, term.screen)
	}
}

// text returns everything written, once no process has the terminal open.
func (term terminal) text() string {
	term.tty.Close()
	<-term.over
	return term.screen.String()
}

func matches(text, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text) }

const escape = "\x1b["

// testColours: colours appear only on a terminal that supports them.
func testColours(t *testing.T, g gipcs) {
	before, _ := g.take(t, "before")
	g.prints(t, "mk", "-M", "4096", "-k", "0x1")
	for _, args := range [][]string{{"ls"}, {"ls", "--format", "table"}, {"show", "shm:0x1"}, {"limits"}, {"ns"}, {"doctor"}, {"diff", before}} {
		for _, test := range []struct {
			environment []string
			terminal    bool
			want        bool
		}{
			{[]string{"TERM=xterm-256color", "NO_COLOR="}, true, true},
			{[]string{"TERM=xterm-256color", "NO_COLOR=1"}, true, false},
			{[]string{"TERM=dumb", "NO_COLOR="}, true, false},
			{[]string{"TERM=xterm-256color", "NO_COLOR="}, false, false},
		} {
			cmd := g.command(args...)
			cmd.Env = append(cmd.Env, test.environment...)
			var text string
			if test.terminal {
				term := newTerminal(t)
				cmd.Stdout = term.tty
				check(t, cmd.Run())
				text = term.text()
			} else {
				out, err := cmd.Output()
				check(t, err)
				text = string(out)
			}
			if strings.Contains(text, escape) != test.want || !strings.Contains(text, "\n") {
				t.Errorf("%v, %q, terminal %t: got %q, want colours: %t", args, test.environment, test.terminal, text, test.want)
			}
		}
	}
	g.prints(t, "rm", "shm:0x1")
}

// testWidth: on a terminal of 80 columns no listing is wider. Omitted columns are named,
// and columns that were asked for are never omitted.
func testWidth(t *testing.T, g gipcs) {
	before, _ := g.take(t, "before")
	g.prints(t, "mk", "-M", "4096", "-k", "0x1")
	g.prints(t, "mk", "-S", "2", "-k", "0x2")
	on := func(args ...string) (text, said string) {
		cmd := g.command(args...)
		cmd.Env = append(cmd.Env, "NO_COLOR=1")
		var messages bytes.Buffer
		term := newTerminal(t)
		cmd.Stdout, cmd.Stderr = term.tty, &messages
		check(t, cmd.Run())
		return term.text(), messages.String()
	}
	for _, args := range [][]string{{"ls"}, {"ls", "--format", "table"}, {"limits"}, {"ns"}, {"doctor"}, {"show", "shm:0x1"}, {"diff", before}, {"diff", before, "--by", "program"}} {
		text, said := on(args...)
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 80 {
				t.Errorf("%v: %d columns: %s", args, n, line)
			}
		}
		if omits := args[0] == "limits"; omits && !strings.Contains(said, "too narrow for ABOUT\n") {
			t.Errorf("%v says %q", args, said)
		}
	}
	if text, _ := on("ls", "-o", "+perms,cuser,cgroup,ctime,reasons"); !strings.Contains(text, "MODE") || !strings.Contains(text, "REASONS") {
		t.Errorf("columns that were asked for are omitted:\n%s", text)
	}
	g.prints(t, "rm", "shm:0x1", "sem:0x2")
}

// testProgress: a long copy shows its progress in one line of a terminal, and clears the
// line at the end. Without a terminal it shows nothing.
func testProgress(t *testing.T, g gipcs) {
	const size = 128 << 20
	for _, onTerminal := range []bool{true, false} {
		seg, err := sysv.CreateSegment(sysv.Private, size, nil)
		check(t, err)
		mem, err := seg.Attach(nil)
		check(t, err)
		copy(mem.Bytes(), bytes.Repeat([]byte("x"), size))
		check(t, mem.Detach())
		dir := filepath.Join(t.TempDir(), "saved")
		cmd := g.command("rm", "--backup", dir, fmt.Sprintf("shm:%d", seg))
		var said bytes.Buffer
		cmd.Stderr = &said
		term := newTerminal(t)
		if onTerminal {
			cmd.Stderr = term.tty
		}
		check(t, cmd.Start())
		// The command is silent at first. Stop it in the middle of the copy for longer than
		// that.
		begun := func() bool {
			files, _ := filepath.Glob(dir + "/*.data.part")
			return len(files) > 0
		}
		if err := eventually(begun); err != nil {
			t.Fatal(err)
		}
		check(t, cmd.Process.Signal(unix.SIGSTOP))
		time.Sleep(300 * time.Millisecond)
		check(t, cmd.Process.Signal(unix.SIGCONT))
		check(t, cmd.Wait())
		onScreen := term.text()
		if pattern := `^\rshm:\d+: [\d.]+\w* of 128M\x1b\[K(\rshm:.*)?\r\x1b\[K$`; onTerminal && !matches(onScreen, pattern) {
			t.Errorf("on a terminal: %q, want %s", onScreen, pattern)
		}
		if !onTerminal {
			want(t, "elsewhere", said.String()+onScreen, "")
		}
	}
}

// TestWaitingIsTold: a command that waits says on a terminal what it waits for, until the
// wait ends.
func TestWaitingIsTold(t *testing.T) {
	t.Parallel()
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	for name, test := range map[string]struct {
		args []string
		told string
		end  []string // ends the wait; nil means an interrupt
		all  string   // the terminal's whole text at the end
	}{
		"no ring": {
			args: []string{"send", "key:7"}, told: "waiting for a receiver at key:7, for up to 1m0s",
			end: []string{"recv", "key:7", "--create"}, all: `^\r(told)\x1b\[K(\r0B .*\x1b\[K)?\r0B  0B/s  [\d.]+m?s\x1b\[K\r\n$`,
		},
		"no sender": {
			args: []string{"recv", "key:7", "--create"}, told: "waiting for a sender at key:7, for up to 1m0s",
			end: []string{"send", "key:7"}, all: `^\r(told)\x1b\[K(\r0B .*\x1b\[K)?\r0B  0B/s  [\d.]+m?s\x1b\[K\r\n$`,
		},
		"in vain":   {args: []string{"recv", "/r"}, told: "waiting for a sender at /r, for up to 1m0s", all: `^\r(told)\x1b\[K\r\x1b\[Kgshm: interrupted\r\n$`},
		"no writer": {args: []string{"demo", "reader"}, told: `\(waiting for lines of a writer\)`, all: `^(told)\r\n$`},
		"held":      {args: []string{"attach", "$id"}, told: `\(held until Ctrl-C\)`, all: `^(told)\r\n$`},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			if name == "held" {
				seg, err := sysv.CreateSegment(sysv.Private, 1, nil)
				check(t, err)
				defer func() { check(t, seg.Remove()) }()
				test.args[1] = fmt.Sprint(int(seg))
			}
			term := newTerminal(t)
			cmd := exec.Command(gshm, test.args...)
			cmd.Stderr = term.tty
			check(t, cmd.Start())
			term.shows(t, test.told)
			if test.end == nil {
				check(t, cmd.Process.Signal(os.Interrupt))
			} else {
				check(t, exec.Command(gshm, test.end...).Run())
			}
			_ = cmd.Wait() // for some commands an interrupt is a failure
			pattern := strings.Replace(test.all, "told", test.told, 1)
			if got := term.text(); !matches(got, pattern) {
				t.Errorf("on the terminal: %q, want %s", got, pattern)
			}
		})
	}
}
