package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// A terminal is a pseudo-terminal on which a program is run.
type terminal struct {
	tty *os.File
	all chan []byte // all that was written to it
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
	all := make(chan []byte, 1)
	go func() {
		var text bytes.Buffer
		_, _ = io.Copy(&text, master) // ends by EIO with the last who has the terminal open
		master.Close()
		all <- text.Bytes()
	}()
	return terminal{tty, all}
}

// text returns what was written, when nobody has the terminal open any more.
func (term terminal) text() string {
	term.tty.Close()
	return string(<-term.all)
}

func matches(text, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text) }

const escape = "\x1b["

// testColours: on a terminal that has them, and nowhere else.
func testColours(t *testing.T, g gipcs) {
	g.prints(t, "mk", "-M", "4096", "-k", "0x1")
	for _, args := range [][]string{{"ls"}, {"ls", "--format", "table"}, {"show", "shm:0x1"}, {"limits"}, {"ns"}} {
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

// testProgress: a copy that takes long shows on a terminal how far it has come, in one
// line that it wipes out, and nothing elsewhere.
func testProgress(t *testing.T, g gipcs) {
	for _, onTerminal := range []bool{true, false} {
		seg, err := sysv.CreateSegment(sysv.Private, 8<<20, sysv.SegmentOptions{Mode: 0o600})
		check(t, err)
		// Once the directory of the backup is there its time runs. It can not go on
		// before somebody reads the log.
		dir, log := filepath.Join(t.TempDir(), "saved"), filepath.Join(t.TempDir(), "log")
		check(t, unix.Mkfifo(log, 0o600))
		cmd := g.command("rm", "--backup", dir, "--log", log, fmt.Sprintf("shm:%d", seg))
		var said bytes.Buffer
		cmd.Stderr = &said
		term := newTerminal(t)
		if onTerminal {
			cmd.Stderr = term.tty
		}
		check(t, cmd.Start())
		if err := eventually(func() bool { _, err := os.Stat(dir); return err == nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // longer than it keeps silent
		reader, err := os.Open(log)
		check(t, err)
		_, err = io.Copy(io.Discard, reader)
		check(t, err)
		reader.Close()
		check(t, cmd.Wait())
		onScreen := term.text()
		if pattern := `^\rshm:\d+: [\d.]+ ?\w+ of 8 ?M\w* \x1b\[K(\rshm:.*)?\r\x1b\[K$`; onTerminal && !matches(onScreen, pattern) {
			t.Errorf("on a terminal: %q, want %s", onScreen, pattern)
		}
		if !onTerminal {
			want(t, "elsewhere", said.String()+onScreen, "")
		}
	}
}
