package utillinux_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestDifferences checks every intentional difference from util-linux; docs/compat.md
// describes them for users. ours and theirs are parts of the output, standard error
// after standard output.
func TestDifferences(t *testing.T) {
	for _, name := range []string{"ipcs", "ipcmk", "lsipc"} {
		peer(t, name)
	}
	isolate(t)
	p := &population{}
	odd := p.segment(t, 1, 4097, 0o600) // 2 pages
	other := sysv.Ownership{UID: 0, GID: 0, Mode: 0o600}
	must(t, odd.SetOwnership(other))
	p.segment(t, 2, 4097, 0o600)
	p.set(t, 1, 0o600, 1)
	p.set(t, 2, 0o600, 1, 2, 3)
	p.queue(t, 1, 0o640)

	for _, d := range []struct {
		why                      string
		command                  string
		env                      environment
		theirs, ours             string
		theirsStatus, oursStatus int
	}{
		{
			why:     "an object that was asked for and is not there is a failure",
			command: "ipcs -m -i 77", theirs: "ipcs: id 77 not found\n", ours: "ipcs: id 77 not found\n", oursStatus: 1,
		},
		{
			why:     "no object has a negative identifier; the original prints the first one",
			command: "ipcs -m -i -1", theirs: "shmid=-1", ours: "ipcs: failed to parse id argument: '-1': Numerical result out of range\n", oursStatus: 1,
		},
		{
			why:     "as with ipcs",
			command: "lsipc -s -i 77", theirs: "lsipc: id 77 not found\n", ours: "lsipc: id 77 not found\n", oursStatus: 1,
		},
		{
			why:     "as with ipcs",
			command: "lsipc -m -i -1", theirs: "KEY ", ours: "lsipc: failed to parse IPC identifier: '-1': Numerical result out of range\n", oursStatus: 1,
		},
		{
			why:     "the original gives all values of one object, or none, in an array without name",
			command: "lsipc -m -J -i 77", theirs: "   \"\": [\n", ours: "   \"sharedmemory\": [\n", oursStatus: 1,
		},
		{
			why:     "the original forgets the permissions of queues when they are to be numbers",
			command: "lsipc -q -P -r -o perms", theirs: "PERMS\n\n", ours: "PERMS\n0640\n",
		},
		{
			why:     "each segment takes whole pages; the original rounds the sum of all sizes, down",
			command: "lsipc -gmr --noheadings -o resource,used", theirs: "SHMALL 2\n", ours: "SHMALL 4\n",
		},
		{
			why:     "the original takes all sets for as large as the first",
			command: "lsipc -gsr --noheadings -o resource,used", theirs: "SEMMNS 2\n", ours: "SEMMNS 4\n",
		},
		{
			why:     "an empty list is said to be wrong; the original fails without a word",
			command: "lsipc -m -o +", theirs: "", ours: "lsipc: unknown column: \n", theirsStatus: 1, oursStatus: 1,
		},
		{
			why:     "an empty name in a list is said to be wrong; the original fails without a word",
			command: "lsipc -m -o KEY,,ID", theirs: "", ours: "lsipc: unknown column: ,ID\n", theirsStatus: 1, oursStatus: 1,
		},
		{
			why:     "there is no limit on the number of columns; the original fails without a word",
			command: "lsipc -m -o " + strings.Repeat("KEY,", 99) + "ID", theirs: "", ours: "KEY", theirsStatus: 1,
		},
		{
			why:     "a zone less than an hour west of Greenwich has a minus sign",
			command: "lsipc -m -o ctime --time-format iso", env: environment{"LC_ALL": "C", "TZ": "<-0030>0:30"}, theirs: "+00:30\n", ours: "-00:30\n",
		},
		{
			why:     "the error is named; the original says that it was none",
			command: "ipcmk -Q -p 9", theirs: "ipcmk: failed to parse mode: Success\n", ours: "ipcmk: failed to parse mode: Invalid argument\n",
			theirsStatus: 1, oursStatus: 1,
		},
		{
			why:     "a mode is permissions; the original passes other bits on as flags (here for a segment of huge pages)",
			command: "ipcmk -M 4096 -p 4600", theirs: "", ours: "ipcmk: failed to parse mode: Numerical result out of range\n",
			theirsStatus: anyStatus, oursStatus: 1,
		},
		{
			why:     "two points are no number",
			command: "ipcmk -M 1..5K", theirs: "Shared memory id", ours: "ipcmk: failed to parse size: '1..5K': Invalid argument\n", oursStatus: 1,
		},
		{
			why:     "the version is ours",
			command: "ipcs -V", theirs: "ipcs from util-linux 2.38.1\n", ours: "ipcs from gipc " + version + " (compatible with util-linux 2.38.1)\n",
		},
	} {
		if d.env == nil {
			d.env = c()
		}
		words := strings.Fields(d.command)
		for _, side := range []struct {
			who        string
			got        outcome
			want       string
			wantStatus int
		}{
			{"util-linux", theirs(t, d.env, words[0], words[1:]...), d.theirs, d.theirsStatus},
			{"we", ours(d.env, words[0], words[1:]...), d.ours, d.oursStatus},
		} {
			all := side.got.stdout + side.got.stderr
			if !strings.Contains(all, side.want) || side.wantStatus != anyStatus && side.got.status != side.wantStatus {
				t.Errorf("%s (%s): %s: status %d\n%swant %d\n%s", d.command, d.why, side.who, side.got.status, all, side.wantStatus, side.want)
			}
		}
	}
}

const anyStatus = -2

// TestCreatorGroup: in the column CGID of segments and queues the original prints the
// creator's user number.
func TestCreatorGroup(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	create := exec.Command("ipcmk", "-M", "1", "-Q", "-S", "1")
	create.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1010, Gid: 1030, NoSetGroups: true}}
	if err := create.Run(); err != nil {
		t.Skipf("cannot become another user: %v", err)
	}
	for kind, wrong := range map[string]string{"-m": "1010", "-q": "1010", "-s": "1030"} {
		args := []string{kind, "-r", "--noheadings", "-o", "cuid,cgid"}
		if got := theirs(t, c(), "lsipc", args...); got.stdout != "1010 "+wrong+"\n" {
			t.Errorf("util-linux: lsipc %v: %q", args, got.stdout)
		}
		if got := ours(c(), "lsipc", args...); got.stdout != "1010 1030\n" {
			t.Errorf("lsipc %v: %q", args, got.stdout)
		}
	}
}

// TestLeapSeconds: the kernel's clock ignores leap seconds, so zones with and without
// them must show the same times; the original is 27 seconds behind.
func TestLeapSeconds(t *testing.T) {
	peer(t, "lsipc")
	if _, err := os.Stat("/usr/share/zoneinfo/right/UTC"); err != nil {
		t.Skip("needs zones with leap seconds")
	}
	isolate(t)
	(&population{}).segment(t, 1, 4096, 0o600)
	args := strings.Fields("-m -o ctime --time-format full")
	with, without := environment{"LC_ALL": "C", "TZ": "right/UTC"}, environment{"LC_ALL": "C", "TZ": "UTC"}
	if got := theirs(t, with, "lsipc", args...); got == theirs(t, without, "lsipc", args...) {
		t.Errorf("util-linux counts no leap seconds: %s", got.stdout)
	}
	if got, want := ours(with, "lsipc", args...), ours(without, "lsipc", args...); got != want {
		t.Errorf("with leap seconds %swithout %s", got.stdout, want.stdout)
	}
}

// TestLocaleNotInstalled: text is UTF-8 if the locale's name says so; without such a
// locale the original falls back to C.
func TestLocaleNotInstalled(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	ipctest.Start(t, "create", nil, "na\u00efve").Line()
	env := environment{"LC_ALL": "tlh_QO.UTF-8"}
	args := strings.Fields("-m -o command")
	if got := theirs(t, env, "lsipc", args...); !strings.Contains(got.stdout, `na\xc3\xafve`) {
		t.Errorf("util-linux: %s", got.stdout)
	}
	if got := ours(env, "lsipc", args...); !strings.Contains(got.stdout, "na\u00efve") {
		t.Errorf("got %s", got.stdout)
	}
}

// TestNoLimit: a limit of 0 has no percentage in use; the original prints -nan%.
func TestNoLimit(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	must(t, os.WriteFile("/proc/sys/kernel/shmmni", []byte("0"), 0))
	args := strings.Fields("-gmr --noheadings -o resource,use%")
	if got := theirs(t, c(), "lsipc", args...); !strings.Contains(got.stdout, "SHMMNI -nan%\n") {
		t.Errorf("util-linux: %s", got.stdout)
	}
	if got := ours(c(), "lsipc", args...); !strings.Contains(got.stdout, "SHMMNI -\n") {
		t.Errorf("got %s", got.stdout)
	}
}

// TestUnreadableQueue: an ordinary user sees the limit of a queue that they may not
// read; the original prints 0.
func TestUnreadableQueue(t *testing.T) {
	peer(t, "ipcs")
	isolate(t)
	(&population{}).queue(t, 1, 0o600)
	for _, side := range []struct{ who, want string }{{"util-linux", "\tqbytes=0\t"}, {"we", "\tqbytes=16384\t"}} {
		cmd := asUser(t, "ipcs", "-q", "-i", "0")
		if side.who == "util-linux" {
			theirs := exec.Command("ipcs", "-q", "-i", "0")
			theirs.SysProcAttr = cmd.SysProcAttr
			cmd = theirs
		}
		if got, err := cmd.Output(); err != nil || !strings.Contains(string(got), side.want) {
			t.Errorf("%s: %v\n%s", side.who, err, got)
		}
	}
}

// TestUnreadableSet: the semaphores of a set cannot be shown to a user who may not read
// it.
func TestUnreadableSet(t *testing.T) {
	isolate(t)
	(&population{}).set(t, 1, 0o600, 1, 2)
	for _, name := range []string{"ipcs", "lsipc"} {
		peer(t, name)
		ours := asUser(t, name, "-s", "-i", "0")
		theirs := exec.Command(name, "-s", "-i", "0")
		theirs.SysProcAttr = ours.SysProcAttr
		want, _ := theirs.CombinedOutput()
		got, _ := ours.CombinedOutput()
		if string(got) != string(want) || ours.ProcessState.ExitCode() != theirs.ProcessState.ExitCode() {
			t.Errorf("%s: %s: %swant %s: %s", name, ours.ProcessState, got, theirs.ProcessState, want)
		}
	}
}

// TestCommandOnTerminal: the creator's command line cannot control the viewer's
// terminal; the original prints it unchanged.
func TestCommandOnTerminal(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	made := ipctest.Start(t, "create", nil, "\x1b[31mred").Line()
	id, _, _ := strings.Cut(made, " ")
	args := []string{"-m", "-i", id, "-o", "command"}
	const raw, safe = "\x1b[31mred", `\x1b[31mred`
	want := onTerminal(t, 80, func(tty *os.File) {
		cmd := exec.Command("lsipc", args...)
		cmd.Stdout = tty
		must(t, cmd.Run())
	})
	if !strings.Contains(want, raw) {
		t.Errorf("util-linux prints %q", want)
	}
	if got := onTerminal(t, 80, func(tty *os.File) { oursOn(tty, c(), "lsipc", args...) }); strings.Contains(got, raw) || !strings.Contains(got, safe) {
		t.Errorf("got %q, want %q in it", got, safe)
	}
}

// TestHelp: all options and columns of the original are there, in its order. In ipcs
// they are at the same places; the other programs have POSIX options between them.
func TestHelp(t *testing.T) {
	for _, name := range []string{"ipcs", "ipcrm", "ipcmk", "lsipc"} {
		peer(t, name)
		theirs, ours := theirs(t, c(), name, "-h").stdout, ours(c(), name, "--help").stdout
		if name == "ipcs" && specifications(ours) != specifications(theirs) {
			t.Errorf("%s -h\n got\n%s\nwant\n%s", name, specifications(ours), specifications(theirs))
		}
		rest := described(ours)
		for _, want := range described(theirs) {
			i := slices.Index(rest, want)
			if i < 0 {
				t.Errorf("%s -h: no %s, or not in the order of the original\n%s", name, want, ours)
				continue
			}
			rest = rest[i+1:]
		}
	}
}

// described returns the options and columns that a help text describes.
func described(help string) []string {
	var all []string
	for line := range strings.Lines(specifications(help)) {
		words := strings.TrimSpace(line)
		indent := strings.Index(line, words)
		if strings.HasSuffix(words, ":") || indent > 20 { // a title, or a continuation line
			continue
		}
		words, _, _ = strings.Cut(words, "[=") // newer versions have a longer argument
		all = append(all, words)
	}
	return all
}

// specifications returns the lines of a help text without the descriptions.
func specifications(help string) string {
	var b strings.Builder
	for line := range strings.Lines(help) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(words)]
		switch {
		case strings.HasPrefix(words, "-"):
			words = words[:textBegins(words)]
		case len(indent) > 3:
			words = strings.Fields(words)[0]
		case strings.HasSuffix(words, ":"):
		default:
			continue
		}
		b.WriteString(indent + words + "\n")
	}
	return b.String()
}

// textBegins returns where the description of an option begins.
func textBegins(line string) int {
	for i := 1; i < len(line); i++ {
		if line[i-1] == ' ' && line[i] != ' ' && line[i] != '-' && line[i] != '<' {
			return i
		}
	}
	return len(line)
}
