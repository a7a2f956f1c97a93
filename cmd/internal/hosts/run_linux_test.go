package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

// fake returns a Runner whose ssh is a shell script. The script gets the host in $host and
// its own arguments in "$@".
func fake(t *testing.T, script string) *Runner {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ssh")
	text := "#!/bin/sh\nfor arg; do host=$before; before=$arg; done\n" + script
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Runner{SSH: []string{name}, Command: []string{"gipcs", "ls"}, Timeout: patience, Parallel: 4}
}

func (r *Runner) one(ctx context.Context, host string) (answer Answer) {
	for answer = range r.Run(ctx, []string{host}) {
	}
	return answer
}

// TestRun runs a command on every kind of host, and checks what is reported about each.
func TestRun(t *testing.T) {
	r := fake(t, `
case $host in
good) echo one; echo two ;;
nothing) ;;
partly) echo one; echo "gipcs: two cannot be seen" >&2; exit 1 ;;
unread) echo "a limit" ; exit 3 ;;
refused) echo "ssh: connect to host x port 22: Connection refused" >&2; exit 255 ;;
silent) exit 255 ;;
stranger) printf '@@@@\nWARNING\n\nHost key verification failed.\r\n' >&2; exit 255 ;;
missing) echo "bash: line 1: gipcs: command not found" >&2; exit 127 ;;
foreign) echo "sh: gipcs: Exec format error" >&2; exit 126 ;;
old) echo "gipcs: ls: unrecognized option '--new'" >&2; exit 2 ;;
killed) echo one; exit 137 ;;
signal) kill -KILL $$ ;;
half) printf 'one\ntw' ;;
noise) echo "bad: Welcome!"; echo one ;;
wide) head -c 1048577 /dev/zero ;;
endless) yes "$(head -c 60000 /dev/zero | tr "\0" x)" ;;
binary) printf '\377\000\033[31m\n' ;;
esac
`)
	r.Accept = func(line []byte) error {
		if bytes.HasPrefix(line, []byte("bad")) {
			return errors.New("it is bad")
		}
		return nil
	}
	tests := []struct {
		host   string
		lines  []string
		status int
		err    string
	}{
		{"good", []string{"one", "two"}, 0, ""},
		{"nothing", nil, 0, ""},
		{"partly", []string{"one"}, 1, ""},
		{"unread", []string{"a limit"}, 3, ""},
		{"refused", nil, 0, "ssh: connect to host x port 22: Connection refused"},
		{"silent", nil, 0, "ssh failed without a message"},
		{"stranger", nil, 0, "Host key verification failed. Connect once with ssh to check its key and accept it"},
		{"missing", nil, 0, "gipcs is not installed there, or not on the PATH of its shell (bash: line 1: gipcs: command not found); --remote-gipcs says where it is"},
		{"foreign", nil, 0, "gipcs cannot be run there: sh: gipcs: Exec format error"},
		{"old", nil, 0, "its gipcs, perhaps an older one, rejects the command line: ls: unrecognized option '--new'"},
		{"killed", nil, 0, "gipcs ended there with status 137 and no message"},
		{"signal", nil, 0, "ssh was ended by the signal killed"},
		{"half", nil, 0, "its answer ends in the middle of a line"},
		{"noise", nil, 0, "it is bad"},
		{"wide", nil, 0, "its answer has a line of more than 1 MiB"},
		{"endless", nil, 0, "its answer is longer than 64 MiB"},
		{"binary", []string{"\xff\x00\x1b[31m"}, 0, ""},
	}
	var names []string
	for _, test := range tests {
		names = append(names, test.host)
	}
	i := 0
	for answer := range r.Run(t.Context(), names) {
		test := tests[i]
		i++
		var lines []string
		for line := range answer.Lines() {
			lines = append(lines, string(line))
		}
		said := ""
		if answer.Err != nil {
			said = answer.Err.Error()
		}
		if answer.Host != test.host || !slices.Equal(lines, test.lines) || answer.Status != test.status || said != test.err {
			t.Errorf("%s: %s: %.40q, status %d, %q, want %q, %d, %q", test.host, answer.Host, lines, answer.Status, said, test.lines, test.status, test.err)
		}
	}
	if i != len(tests) {
		t.Errorf("%d answers of %d", i, len(tests))
	}
}

// TestArguments: the caller's flags of ssh come first, and prevail; a host and a command
// are one word each, and nothing reads the caller's standard input.
func TestArguments(t *testing.T) {
	r := fake(t, `for arg; do echo "$arg"; done; echo "in: $(cat)"`)
	r.SSH = append(r.SSH, "-p", "22")
	r.Command = []string{"gipcs", "ls", "--where=a 'b'"}
	r.Timeout = patience + time.Millisecond
	r.Input = func(host string) io.Reader { return strings.NewReader("for " + host) }
	var words []string
	answer := r.one(t.Context(), "root@web1")
	for line := range answer.Lines() {
		words = append(words, string(line))
	}
	want := []string{
		"-p", "22", "-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=61", "-o", "LogLevel=ERROR",
		"-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none", "--", "root@web1", `gipcs ls '--where=a '\''b'\'''`, "in: for root@web1",
	}
	if !slices.Equal(words, want) {
		t.Errorf("%q, want\n%q", words, want)
	}
	r.Input = nil
	if answer = r.one(t.Context(), "x"); !bytes.HasSuffix(answer.Text, []byte("\nin: \n")) {
		t.Errorf("without input it reads %q", answer.Text)
	}
}

// TestMessages: messages are cut and bounded.
func TestMessages(t *testing.T) {
	r := fake(t, `echo "gipcs: one" >&2; echo >&2; head -c 5000 /dev/zero | tr '\0' x >&2; head -c 9000000 /dev/zero | tr '\0' '\n' >&2; echo late >&2`)
	answer := r.one(t.Context(), "x")
	want := []string{"gipcs: one", strings.Repeat("x", maxMessage) + "..."}
	if answer.Err != nil || !slices.Equal(answer.Messages, want) {
		t.Errorf("%v, %q", answer.Err, answer.Messages)
	}
}

// TestParallel: at most Parallel hosts are asked at a time, and answers come in the order
// of the hosts.
func TestParallel(t *testing.T) {
	dir := t.TempDir()
	r := fake(t, fmt.Sprintf(`cd %s; mkdir running.$host; ls -d running.* | wc -l; sleep 0.0$host; rmdir running.$host`, dir))
	r.Parallel = 3
	var names []string
	for i := range 12 {
		names = append(names, strconv.Itoa(9-i%10))
	}
	names = Unique(names)
	i := 0
	for answer := range r.Run(t.Context(), names) {
		if answer.Err != nil || answer.Host != names[i] {
			t.Fatalf("%+v, want %s", answer, names[i])
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(answer.Text))); err != nil || n > r.Parallel {
			t.Errorf("%d hosts at a time: %v", n, err)
		}
		i++
	}
}

// running returns the processes whose ids a fake ssh has written to a file.
func running(t *testing.T, file string) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		if unix.Kill(pid, 0) == nil && !isZombie(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isZombie reports whether a process, left to init, has ended.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// TestTimeout: a host that is silent, or never ends, takes no longer than its timeout and
// leaves no process behind, not even one that ignores SIGTERM.
func TestTimeout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	r := fake(t, fmt.Sprintf(`
(trap '' TERM; while :; do sleep 1000; done) & echo $! >>%[1]s
case $host in
stubborn) trap '' TERM ;;
esac
echo $$ >>%[1]s
while :; do sleep 1000; done`, file))
	r.Timeout = time.Second
	for answer := range r.Run(t.Context(), []string{"silent", "stubborn"}) {
		if answer.Err == nil || answer.Err.Error() != "no answer within 1s" {
			t.Errorf("%s: %v", answer.Host, answer.Err)
		}
	}
	waitForNone(t, file)
}

func waitForNone(t *testing.T, file string) {
	t.Helper()
	for began := time.Now(); len(running(t, file)) > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("processes are left: %v", running(t, file))
		}
	}
}

// TestCancel: when the context or the loop ends, every ssh ends.
func TestCancel(t *testing.T) {
	for _, way := range []string{"context", "loop"} {
		file := filepath.Join(t.TempDir(), "pids")
		r := fake(t, fmt.Sprintf(`case $host in quick) exit ;; esac; echo $$ >>%s; exec sleep 1000`, file))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		names := []string{"a", "b", "c"}
		if way == "loop" {
			names = append([]string{"quick"}, names...)
		}
		go func() {
			for way == "context" {
				if text, _ := os.ReadFile(file); bytes.Count(text, []byte{'\n'}) == len(names) {
					cancel()
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		for answer := range r.Run(ctx, names) {
			if way == "loop" {
				break
			}
			if !errors.Is(answer.Err, context.Canceled) {
				t.Errorf("%s: %v", answer.Host, answer.Err)
			}
		}
		if _, err := os.Stat(file); err == nil {
			waitForNone(t, file)
		}
	}
}

// TestPersist: a program that ssh leaves behind with its pipes, such as the master of
// ControlPersist, neither delays an answer forever nor is ended.
func TestPersist(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	r := fake(t, fmt.Sprintf(`setsid sh -c 'echo $$ >%[1]s; exec sleep 1000' & while ! [ -s %[1]s ]; do sleep 0.01; done; echo one`, file))
	answer := r.one(t.Context(), "x")
	if answer.Err != nil || string(answer.Text) != "one\n" {
		t.Errorf("%+v", answer)
	}
	left := running(t, file)
	if len(left) != 1 {
		t.Errorf("the master has ended")
	}
	for _, pid := range left {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Error(err)
		}
	}
}

// TestNoProgram: an ssh that cannot be started is an error of each host.
func TestNoProgram(t *testing.T) {
	r := fake(t, "")
	r.SSH = []string{"/nosuch/ssh"}
	if answer := r.one(t.Context(), "x"); !errors.Is(answer.Err, os.ErrNotExist) {
		t.Error(answer.Err)
	}
}
