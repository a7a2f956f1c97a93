package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/command/mantest"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The man page names every command and flag, and no others.
func TestManPage(t *testing.T) { mantest.Check(t, app(), "../../../docs/man/gipcs-fleet.1") }

// TestHelp: no help is wider than a terminal.
func TestHelp(t *testing.T) {
	for _, name := range []string{"", "ls", "limits", "show", "snapshot", "diff"} {
		cmd := exec.Command(program(t, "gipcs-fleet"), strings.Fields(name+" --help")...)
		out, err := cmd.Output()
		check(t, err)
		for line := range strings.Lines(string(out)) {
			if len(line) > 81 {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

// program returns the path of a program, which is built once.
func program(t testing.TB, name string) string {
	t.Helper()
	if name == "gipcs" {
		return ipctest.Build(t, "../../gipcs")
	}
	return ipctest.Build(t, "../"+name)
}

// A site is a server, and where the program keeps what it has seen.
type site struct {
	url   string
	conn  *nats.Conn
	state string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := extratest.Serve(t, nil)
	conn, err := nats.Connect(s.ClientURL())
	check(t, err)
	t.Cleanup(conn.Close)
	return &site{s.ClientURL(), conn, t.TempDir()}
}

// agent starts a real agent, and waits until it answers.
func (s *site) agent(t *testing.T, host string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t, "gipcs-agent"), "--listen", "", "--nats", s.url, "--name", host)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			check(t, cmd.Process.Kill())
			_ = cmd.Wait() // killed
		}
	})
	for began := time.Now(); ; {
		_, err := s.conn.Request(fleet.Subject(host, fleet.Limits), []byte(`{"protocol":1}`), patience)
		if err == nil {
			return cmd
		}
		if !errors.Is(err, nats.ErrNoResponders) || time.Since(began) > patience {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// run runs gipcs-fleet.
func (s *site) run(t *testing.T, args ...string) (out, said string, status int) {
	t.Helper()
	cmd := exec.Command(program(t, "gipcs-fleet"), slices.Concat(args, []string{"--nats", s.url})...)
	return s.result(t, cmd)
}

func (s *site) result(t *testing.T, cmd *exec.Cmd) (out, said string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+s.state)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// want fails the test unless the program ended with a status, and said what matches.
func want(t *testing.T, status int, said string, wantStatus int, pattern string) {
	t.Helper()
	if status != wantStatus || !regexp.MustCompile("(?s)^"+pattern+"$").MatchString(said) {
		t.Errorf("status %d, want %d; it said\n%swant\n%s", status, wantStatus, said, pattern)
	}
}

func segments(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		s, err := sysv.CreateSegment(sysv.Private, int64(4096*(i+1)), nil)
		check(t, err)
		t.Cleanup(func() { check(t, s.Remove()) })
	}
}

// TestList: the table is that of gipcs ls for each host, with its name; hosts that do not
// answer are named.
func TestList(t *testing.T) {
	segments(t, 3)
	s := newSite(t)
	one, two := s.agent(t, "web1"), s.agent(t, "web2.example.com")
	for _, args := range [][]string{
		{"ls", "-m", "--format", "csv", "-o", "kind,id,key,size,owner"},
		{"ls", "--format", "csv", "--where", "size > 5000", "-o", "kind,id,size", "--sort", "id"},
		{"limits", "--format", "csv", "--kind", "shm"},
	} {
		here, err := exec.Command(program(t, "gipcs"), args...).Output()
		check(t, err)
		out, said, status := s.run(t, args...)
		want(t, status, said, 0, "")
		heading, rows, _ := strings.Cut(string(here), "\n")
		expected := ""
		for _, host := range []string{"web1", "web2.example.com"} {
			for line := range strings.Lines(rows) {
				expected += host + "," + line
			}
		}
		if slices.Contains(args, "--sort") {
			lines := slices.Sorted(strings.Lines(expected))
			slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(a[strings.Index(a, ","):], b[strings.Index(b, ","):]) })
			expected = strings.Join(lines, "")
		}
		if out != "host,"+heading+"\n"+expected {
			t.Errorf("%v:\n%swant\n%s", args, out, "host,"+heading+"\n"+expected)
		}
	}
	check(t, two.Process.Signal(syscall.SIGSTOP))
	out, said, status := s.run(t, "ls", "-o", "id,size", "--format", "csv", "--timeout", "1s")
	want(t, status, said, 1, "gipcs-fleet: web2.example.com: no answer within 1s\ngipcs-fleet: 1 of 2 hosts did not answer\n")
	if n := strings.Count(out, "\nweb1,"); n != 3 {
		t.Errorf("%d objects of the other:\n%s", n, out)
	}
	check(t, two.Process.Signal(syscall.SIGCONT))
	check(t, one.Process.Signal(syscall.SIGTERM))
	check(t, one.Wait())
	_, said, status = s.run(t, "ls")
	want(t, status, said, 1, "gipcs-fleet: web1: no agent answers for it\ngipcs-fleet: 1 of 2 hosts did not answer\n")
	_, said, status = s.run(t, "ls", "--within", "0s")
	want(t, status, said, 0, "")
	list := filepath.Join(t.TempDir(), "hosts")
	check(t, os.WriteFile(list, []byte("# all\nweb2.example.com\nweb3\n"), 0o600))
	_, said, status = s.run(t, "ls", "--hosts", list)
	want(t, status, said, 1, "gipcs-fleet: web3: no agent answers for it\ngipcs-fleet: 1 of 2 hosts did not answer\n")
}

// TestShow shows an object on each host.
func TestShow(t *testing.T) {
	segments(t, 1)
	set, err := sysv.CreateSet(0x4d2, 2, nil)
	check(t, err)
	t.Cleanup(func() { check(t, set.Remove()) })
	s := newSite(t)
	s.agent(t, "web1")
	s.agent(t, "web2")
	out, said, status := s.run(t, "show", "sem:0x4d2", "--format", "ndjson")
	want(t, status, said, 0, "")
	if strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, `{"host":"web1","kind":"sem",`) || !strings.Contains(out, "\n"+`{"host":"web2","kind":"sem",`) {
		t.Error(out)
	}
	_, said, status = s.run(t, "show", "msg:0x4d2", "--host", "web1")
	want(t, status, said, 1, "gipcs-fleet: web1: there is no message queue with key 0x000004d2\n")
}

// TestOlder: an agent that lacks columns is told, and what it knows is shown.
func TestOlder(t *testing.T) {
	s := newSite(t)
	_, err := s.conn.Subscribe(fleet.Subject("old", fleet.List), func(m *nats.Msg) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprintln(z, `{"kind":"shm","id":7,"surprise":[1]}`)
		_ = z.Close() // a buffer cannot fail
		_ = m.RespondMsg(&nats.Msg{Data: b.Bytes(), Header: nats.Header{
			"Gipc-Host": {"old"}, "Gipc-Version": {"0.0.1\x1b[31m"}, "Gipc-Protocol": {"2"}, "Gipc-Answer": {"a"}, "Gipc-Page": {"1"}, "Gipc-Status": {"0"},
		}})
	})
	check(t, err)
	check(t, s.conn.Flush())
	out, said, status := s.run(t, "ls", "-o", "id,size", "--format", "csv", "--host", "old")
	want(t, status, said, 1, `gipcs-fleet: old: the agent has another version, 0\.0\.1\\x1b\[31m, protocol 2, than this gipcs-fleet, `+regexp.QuoteMeta(command.Version)+"; unknown there: size\n")
	if out != "host,id,size\r\nold,7,\r\n" {
		t.Errorf("%q", out)
	}
	out, said, status = s.run(t, "ls", "-o", "id", "--format", "csv", "--host", "old")
	want(t, status, said, 0, "gipcs-fleet: old: the agent has another version, [^;]*\n")
	if out != "host,id\r\nold,7\r\n" {
		t.Errorf("%q", out)
	}
}

// TestSnapshots saves snapshots, and compares them with what is there later.
func TestSnapshots(t *testing.T) {
	segments(t, 1)
	s := newSite(t)
	s.agent(t, "web1")
	s.agent(t, "web2")
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	_, said, status := s.run(t, "snapshot", before, "--kind", "shm")
	want(t, status, said, 0, "")
	segments(t, 2)
	_, said, status = s.run(t, "snapshot", after, "--kind", "shm")
	want(t, status, said, 0, "")
	for _, args := range [][]string{{"diff", before}, {"diff", before, after}} {
		out, said, status := s.run(t, append(args, "--by", "kind", "--format", "csv")...)
		want(t, status, said, 0, "")
		if !strings.HasPrefix(out, "host,kind,came,went,") || strings.Count(out, "\n") != 3 || !strings.Contains(out, "\nweb1,shm,2,0,3,2,") || !strings.Contains(out, "\nweb2,shm,2,0,3,2,") {
			t.Errorf("%v:\n%s", args, out)
		}
	}
	check(t, os.Remove(filepath.Join(after, "web2.gz")))
	_, said, status = s.run(t, "diff", before, after)
	want(t, status, said, 1, "gipcs-fleet: web2: .*no such file.*\n")
	check(t, os.WriteFile(filepath.Join(after, "web2.gz"), []byte("precious"), 0o600))
	_, said, status = s.run(t, "snapshot", after)
	want(t, status, said, 1, "gipcs-fleet: .*is no snapshot that this gipcs can read.*\n")
	if text, err := os.ReadFile(filepath.Join(after, "web2.gz")); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
	_, said, status = s.run(t, "diff", before, "--host", "web1,web9")
	want(t, status, said, 1, ".*gipcs-fleet: web9: no agent answers for it\ngipcs-fleet: 1 of 2 hosts did not answer\n")
}

// TestMisuse: a wrong command line has the status 2, before anything is asked.
func TestMisuse(t *testing.T) {
	for args, said := range map[string]string{
		"":                              "gipcs-fleet: no command given; .*",
		"ls x":                          "gipcs-fleet: ls: unexpected argument .*",
		"ls --nats nats://a:b@hub":      "gipcs-fleet: ls: --nats: any user could see a password.*",
		"ls --nats http://hub":          "gipcs-fleet: ls: --nats: .*is no server.*",
		"ls":                            "gipcs-fleet: ls: --nats URL is missing.*",
		"ls --timeout 0s":               "gipcs-fleet: ls: --timeout: .*",
		"ls --parallel 0":               "gipcs-fleet: ls: --parallel: .*",
		"ls --host a@b":                 "gipcs-fleet: ls: --host: .*is no host name.*",
		"ls --host a --seen /dev/null":  "gipcs-fleet: ls: --seen and a list of hosts exclude each other\n",
		"ls --key ftok:/etc":            "gipcs-fleet: ls: --key: .*a path has another key on each host.*",
		"ls --where nosuch==1":          "gipcs-fleet: ls: --where: .*",
		"ls --format nosuch":            "gipcs-fleet: ls: .*nosuch.*",
		"ls -o nosuch":                  "gipcs-fleet: ls: .*nosuch.*",
		"show":                          "gipcs-fleet: show: KIND:REF is missing; see gipcs-fleet show --help\n",
		"show shm:ftok:/etc":            "gipcs-fleet: show: .*ftok: is not for other hosts.*",
		"show 7":                        "gipcs-fleet: show: .*",
		"snapshot":                      "gipcs-fleet: snapshot: DIR is missing; see gipcs-fleet snapshot --help\n",
		"diff":                          "gipcs-fleet: diff: DIR is missing; see gipcs-fleet diff --help\n",
		"diff a --by nosuch":            "gipcs-fleet: diff: --by: .*",
		"limits --nkey a --creds b":     "gipcs-fleet: limits: --creds and --nkey exclude each other\n",
		"limits --where size --nats x,": "gipcs-fleet: limits: --nats: .*",
	} {
		cmd := exec.Command(program(t, "gipcs-fleet"), strings.Fields(args)...)
		s := &site{state: t.TempDir()}
		out, got, status := s.result(t, cmd)
		if want(t, status, got, 2, said); out != "" {
			t.Errorf("%s: %s", args, out)
		}
	}
}

// TestTrouble: a server that is away, a full disk and a signal end the program with an error.
func TestTrouble(t *testing.T) {
	s := newSite(t)
	_, said, status := s.run(t, "ls", "--discover", "1ms")
	want(t, status, said, 1, "gipcs-fleet: no agent answers, and none has answered lately; .*\n")
	away := &site{url: "nats://127.0.0.1:1", state: t.TempDir()}
	_, said, status = away.run(t, "ls")
	want(t, status, said, 1, "gipcs-fleet: NATS: nats://127.0.0.1:1: .*\n")
	s.agent(t, "web1")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	check(t, err)
	defer full.Close()
	cmd := exec.Command(program(t, "gipcs-fleet"), "limits", "--nats", s.url, "--host", "web1")
	cmd.Stdout = full
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("%v: %s", err, stderr.String())
	}
	asked, err := s.conn.SubscribeSync(fleet.Subject("silent", fleet.List))
	check(t, err)
	check(t, s.conn.Flush())
	cmd = exec.Command(program(t, "gipcs-fleet"), "ls", "--nats", s.url, "--host", "silent,web1", "--timeout", "1h")
	stderr.Reset()
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	_, err = asked.NextMsg(patience)
	check(t, err)
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || stderr.String() != "gipcs-fleet: interrupted\n" {
		t.Errorf("%v: %s", err, stderr.String())
	}
	seen := filepath.Join(t.TempDir(), "seen")
	check(t, os.WriteFile(seen, []byte("my diary\n"), 0o600))
	_, said, status = s.run(t, "ls", "--seen", seen)
	want(t, status, said, 1, "gipcs-fleet: .*line 1 is not a host and a time.*\n")
}
