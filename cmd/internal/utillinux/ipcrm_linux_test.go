package utillinux_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// freshNamespace enters another IPC namespace, where identifiers start at 0 again. The
// previous one ends with its objects.
func freshNamespace(t *testing.T) {
	t.Helper()
	must(t, unix.Unshare(unix.CLONE_NEWIPC))
}

// remaining lists the existing objects.
func remaining(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for s, err := range sysv.Segments() {
		must(t, err)
		fmt.Fprintf(&b, "shm %d %s %t\n", s.ID, s.Key, s.Dest)
	}
	for q, err := range sysv.Queues() {
		must(t, err)
		fmt.Fprintf(&b, "msg %d %s\n", q.ID, q.Key)
	}
	for s, err := range sysv.Sets() {
		must(t, err)
		fmt.Fprintf(&b, "sem %d %s\n", s.ID, s.Key)
	}
	return b.String()
}

// populateForRemoval makes three objects of each kind, with identifiers 0 to 2, and
// attaches one segment.
func populateForRemoval(t *testing.T) {
	t.Helper()
	freshNamespace(t)
	p := &population{}
	for _, key := range []sysv.Key{0x4d2, -1, sysv.Private} {
		p.segment(t, key, 4096, 0o600)
		p.queue(t, key, 0o644)
		p.set(t, key, 0o666, 1, 2)
	}
	ipctest.Start(t, "attach", nil, "1").Line()
}

// A removal is the result of a run of ipcrm.
type removal struct {
	outcome
	left string
}

func TestIpcrm(t *testing.T) {
	peer(t, "ipcrm")
	isolate(t)
	for _, args := range options(
		"-m 0", "-m0", "-q1", "-s 2", "--shmem-id=0", "--shmem-id 1", "--queue-id=1", "--semaphore-id=2",
		"-M 0x4d2", "-M 1234", "-M02322", "-Q 0x4D2", "-S 0X4d2", "-M -1", "-Q 4294967295", "-S 0xffffffff", "--shmem-key=0x4d2",
		"-m 0 -m 2 -q 0 -s 1 -M -1", "-m 0 -m 77 -q 0", "-M 0x77 -Q 0x4d2", "-v -m 0 -q 1 -s 2", "-m 0 -v -q 0", "-v -M 0x4d2 -Q 77 -S -1",
		"-a", "--all", "--al", "-ashm", "-amsg", "--all=sem", "-ashm -asem", "-ashm -a", "-va", "-va -m 0", "-v --all=msg", "-a -m 0 -q 77",
		"shm 0", "msg 0 1", "sem 2 1 0", "shm 0 77 1", "shm 0 x 1", "sem -1 0", "msg 0x1 0",
		// Objects named before an error are removed: scripts end in "| xargs ipcrm -m".
		"-m 0 1 2", "-m0 1", "-q 0 1", "-s 0 1 2", "-M 0x4d2 -1", "-M 1234 0x4d2", "-Q 0x4d2 0", "-S 1234 1", "-m 0 -- 1 -q 0", "0 -m 1 2 -q 1",
		"-v -m 0 1", "-m 77 0", "--shmem-id 0 1", "-m 0 shm", "0 1", "msg 0 -q 1", "-q 0 -q 1 -Z", "-m 0 --nosuch -q 0", "-q 0 -ashmem", "-ashm -Z", "-m",
		"-q 0 -m", "-aX", "-a -q 0 -Z", "-m 2 -m",
	) {
		populateForRemoval(t)
		want := removal{theirs(t, c(), "ipcrm", args...), remaining(t)}
		populateForRemoval(t)
		got := removal{ours(c(), "ipcrm", args...), remaining(t)}
		if got != want {
			t.Errorf("ipcrm %v\n got %d\n%s%sleft\n%s\nwant %d\n%s%sleft\n%s", args,
				got.status, got.stdout, got.stderr, got.left, want.status, want.stdout, want.stderr, want.left)
		}
	}
}

// TestIpcrmDifferences lists cases in which our ipcrm is safe and the original is not.
func TestIpcrmDifferences(t *testing.T) {
	peer(t, "ipcrm")
	isolate(t)
	for _, d := range []struct {
		why          string
		command      string
		args         []string // instead of command
		stderr       string
		theirs, ours int // how many of the nine objects remain
	}{
		{
			why:     "with a blank between them, the option removes everything and the kind is left over",
			command: "-a shm", theirs: 1, ours: 9,
			stderr: "ipcrm: unknown argument: shm\nipcrm: nothing was removed; to remove all of one kind write --all=shm\nTry 'ipcrm --help' for more information.\n",
		},
		{
			why:     "the same",
			command: "--all msg", theirs: 1, ours: 9,
			stderr: "ipcrm: unknown argument: msg\nipcrm: nothing was removed; to remove all of one kind write --all=msg\nTry 'ipcrm --help' for more information.\n",
		},
		{
			why:     "nor does it go with what is named beside it",
			command: "-q 0 -a 1", theirs: 1, ours: 9,
			stderr: "ipcrm: unknown argument: 1\nipcrm: nothing was removed\nTry 'ipcrm --help' for more information.\n",
		},
		{
			why:     "one argument that is no number does not stop the others",
			command: "-q x -q 1 -s 99999999999 -s 0", theirs: 9, ours: 7,
			stderr: "ipcrm: failed to parse argument: 'x'\nipcrm: failed to parse argument: '99999999999': Numerical result out of range\n",
		},
		{
			why:     "a key that does not fit is not cut to 32 bits",
			command: "-Q 0x1000004d2", theirs: 8, ours: 9,
			stderr: "ipcrm: failed to parse argument: '0x1000004d2': Numerical result out of range\n",
		},
		{
			why:     "an identifier that does not fit is not cut to 32 bits",
			command: "msg 4294967297", theirs: 8, ours: 9,
			stderr: "ipcrm: invalid id: 4294967297\n",
		},
		{
			why:  "nothing is no identifier, not even 0",
			args: []string{"sem", ""}, theirs: 8, ours: 9,
			stderr: "ipcrm: invalid id: \n",
		},
		{
			why:  "an empty key is not blamed on the error before it",
			args: []string{"-q", "77", "-Q", ""}, theirs: 9, ours: 9,
			stderr: "ipcrm: invalid id (77)\nipcrm: failed to parse argument: ''\n",
		},
	} {
		args := d.args
		if args == nil {
			args = strings.Fields(d.command)
		}
		populateForRemoval(t)
		theirs(t, c(), "ipcrm", args...)
		if left := strings.Count(remaining(t), "\n"); left != d.theirs {
			t.Errorf("ipcrm %q (%s): util-linux leaves %d, want %d", args, d.why, left, d.theirs)
		}
		populateForRemoval(t)
		got := ours(c(), "ipcrm", args...)
		if left := strings.Count(remaining(t), "\n"); left != d.ours {
			t.Errorf("ipcrm %q (%s): %d left, want %d", args, d.why, left, d.ours)
		}
		if got.stderr != d.stderr || got.status != 1 {
			t.Errorf("ipcrm %q (%s): status %d\n%swant\n%s", args, d.why, got.status, got.stderr, d.stderr)
		}
	}
}

// TestIpcrmWithoutRights: a user may not remove the objects, and may not read some of them.
// -a silently skips the objects that the user may not read, and fails for the others.
func TestIpcrmWithoutRights(t *testing.T) {
	peer(t, "ipcrm")
	isolate(t)
	mine := func() {
		freshNamespace(t)
		p := &population{}
		const mode = 0o600 // for root only
		p.segment(t, sysv.Private, 4096, mode)
		p.queue(t, sysv.Private, mode)
		p.set(t, sysv.Private, mode, 1)
		must(t, p.segment(t, sysv.Private, 4096, mode).SetOwnership(sysv.Ownership{UID: nobody, GID: nobody, Mode: mode}))
		must(t, p.queue(t, sysv.Private, mode).SetOwnership(sysv.Ownership{UID: nobody, GID: nobody, Mode: mode}, 100))
		must(t, p.set(t, sysv.Private, mode, 1).SetOwnership(sysv.Ownership{UID: nobody, GID: nobody, Mode: mode}))
	}
	for _, test := range []struct {
		populate func()
		commands [][]string
	}{
		{func() { populateForRemoval(t) }, options("-a", "-av", "-m 0 -q 0 -s 0", "-M 0x4d2 -Q 0x4d2 -S 0x4d2", "msg 0", "--all=msg", "--all=shm", "-vashm", "-m 0 1")},
		{mine, options("-a", "-va", "--all=shm", "--all=sem -v", "--all=msg", "-m 0", "-m 1 0", "-a -q 0", "sem 0 1")},
	} {
		for _, args := range test.commands {
			test.populate()
			ours := asUser(t, "ipcrm", args...)
			theirs := exec.Command("ipcrm", args...)
			theirs.Env, theirs.SysProcAttr = ours.Env, ours.SysProcAttr
			got, gotLeft := withoutRights(t, ours), remaining(t)
			test.populate()
			want, wantLeft := withoutRights(t, theirs), remaining(t)
			if got != want || gotLeft != wantLeft {
				t.Errorf("ipcrm %v as nobody\n got %sleft\n%s\nwant %sleft\n%s", args, got, gotLeft, want, wantLeft)
			}
		}
	}
}

// TestIpcrmUnreadable: a user's own segment has mode 0.
func TestIpcrmUnreadable(t *testing.T) {
	peer(t, "ipcrm")
	isolate(t)
	freshNamespace(t)
	segment := (&population{}).segment(t, sysv.Private, 4096, 0)
	must(t, segment.SetOwnership(sysv.Ownership{UID: nobody, GID: nobody}))
	ours := asUser(t, "ipcrm", "-a")
	theirs := exec.Command("ipcrm", "-a")
	theirs.Env, theirs.SysProcAttr = ours.Env, ours.SysProcAttr
	if got := withoutRights(t, theirs); got != "0\n" || remaining(t) == "" {
		t.Errorf("util-linux: ipcrm -a removes it, or says %s", got)
	}
	if got := withoutRights(t, ours); got != "0\n" || remaining(t) != "" {
		t.Errorf("ipcrm -a leaves\n%sand says %s", remaining(t), got)
	}
}

// withoutRights returns the status and the output of a command.
func withoutRights(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d\n%s", cmd.ProcessState.ExitCode(), said)
}

func TestIpcmk(t *testing.T) {
	peer(t, "ipcmk")
	isolate(t)
	attributes := func() string {
		var b strings.Builder
		for s, err := range sysv.Segments() {
			must(t, err)
			if s.Key == sysv.Private {
				t.Errorf("a segment has no key")
			}
			fmt.Fprintf(&b, "shm %d %d %o\n", s.ID, s.Size, s.Mode)
		}
		for q, err := range sysv.Queues() {
			must(t, err)
			if q.Key == sysv.Private {
				t.Errorf("a queue has no key")
			}
			fmt.Fprintf(&b, "msg %d %o\n", q.ID, q.Mode)
		}
		for s, err := range sysv.Sets() {
			must(t, err)
			if s.Key == sysv.Private {
				t.Errorf("a set has no key")
			}
			fmt.Fprintf(&b, "sem %d %d %o\n", s.ID, s.NSems, s.Mode)
		}
		return b.String()
	}
	for _, args := range options(
		"-M 1", "-M1", "-M 1K", "-M 1k", "-M 1KiB", "-M 1KB", "-M 1kb", "-M 0.5M", "-M 1.1K", "-M 2.05MB", "-M 010", "-M 0x10", "-M 0x10K", "-M +5",
		"--shmem=1M", "-S 1", "-S 32000", "--semaphore 3", "-Q", "--queue", "-Q -p 600", "-p 0 -Q", "-p 777 -M 5 -S 2 -Q", "-M 5 -M 6", "-S 5 -p 0600 operand",
		"-QS 4", "--mode=17 -Q", "-M 1.0K", "-M 1.000000000000000000001K",
	) {
		freshNamespace(t)
		want := removal{theirs(t, c(), "ipcmk", args...), attributes()}
		freshNamespace(t)
		got := removal{ours(c(), "ipcmk", args...), attributes()}
		if got != want {
			t.Errorf("ipcmk %v\n got %v\nwant %v", args, got, want)
		}
	}
}

// TestFraction: for some decimals the original loses a byte, for others it adds a tenth
// of the whole; it takes .9 as a whole, and .10 as ten tenths.
func TestFraction(t *testing.T) {
	peer(t, "ipcmk")
	isolate(t)
	made := func(run func(env environment, name string, args ...string) outcome, size string) int64 {
		freshNamespace(t)
		if got := run(c(), "ipcmk", "-M", size); got.status != 0 {
			t.Errorf("ipcmk -M %s: %s", size, got.stderr)
		}
		for s, err := range sysv.Segments() {
			must(t, err)
			return s.Size
		}
		return -1
	}
	theirs := func(env environment, name string, args ...string) outcome { return theirs(t, env, name, args...) }
	for _, tt := range []struct {
		size         string
		theirs, ours int64
	}{
		{"1.25M", 1310719, 1310720},
		{"1.75KiB", 2099, 1792},
		{"0.001MB", 1000, 1000},
		{"1.999K", 2150, 2046},
		{"1.9M", 2097152, 1992294},
		{"1.10K", 2048, 1126},
	} {
		if got := made(theirs, tt.size); got != tt.theirs {
			t.Errorf("util-linux: ipcmk -M %s makes %d bytes, want %d", tt.size, got, tt.theirs)
		}
		if got := made(ours, tt.size); got != tt.ours {
			t.Errorf("ipcmk -M %s makes %d bytes, want %d", tt.size, got, tt.ours)
		}
	}
}

// TestWriteErrors: a full disk and an unwritable output are errors. A closed pipe is
// not: it ends the program silently by SIGPIPE, even if that was ignored. With long
// output the original gives no reason for the first two, and if SIGPIPE is ignored it
// reports the pipe as an error.
func TestWriteErrors(t *testing.T) {
	isolate(t)
	p := &population{}
	for range 3000 {
		p.segment(t, sysv.Private, 4096, 0o600)
	}
	exe, err := os.Executable()
	must(t, err)
	for _, line := range options("ipcs", "ipcs -m", "ipcs -m -i 0", "ipcs -h", "lsipc -m", "lsipc -m -J", "lsipc", "ipcmk -Q", "ipcrm -V") {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		must(t, err)
		unwritable, err := os.Open(os.DevNull)
		must(t, err)
		r, w, err := os.Pipe()
		must(t, err)
		r.Close()
		ipctest.AwaitNoReader(t, w)
		for _, sink := range []struct {
			to                     *os.File
			state, stderr, comment string
		}{
			{full, "exit status 1", line[0] + ": write error: No space left on device\n", "full disk"},
			{unwritable, "exit status 1", line[0] + ": write error: Bad file descriptor\n", "file open for reading"},
			{w, "signal: broken pipe", "", "closed pipe"},
		} {
			for _, trap := range []string{"", "trap '' PIPE; "} {
				cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", trap + `exec "$0" "$@"`, exe}, line[1:])...)
				cmd.Env = []string{runAs + "=" + line[0], "LC_ALL=C"}
				var stderr strings.Builder
				cmd.Stdout, cmd.Stderr = sink.to, &stderr
				_ = cmd.Run()
				if state := cmd.ProcessState.String(); state != sink.state || stderr.String() != sink.stderr {
					t.Errorf("%s%v to a %s: %s, %q; want %s, %q", trap, line, sink.comment, state, stderr.String(), sink.state, sink.stderr)
				}
			}
		}
		full.Close()
		unwritable.Close()
		w.Close()
	}
}

// TestClosedPipe: writing to a closed pipe is not an error, even without a SIGPIPE.
func TestClosedPipe(t *testing.T) {
	isolate(t)
	r, w, err := os.Pipe()
	must(t, err)
	r.Close()
	defer w.Close()
	ipctest.AwaitNoReader(t, w)
	for _, name := range []string{"ipcs", "lsipc"} {
		if messages, status := oursOn(w, c(), name); messages != "" || status != 0 {
			t.Errorf("%s: status %d, %q", name, status, messages)
		}
	}
}

// TestIpcrmWithoutReader: ipcrm prints a message for each object into a closed pipe. It
// removes everything.
func TestIpcrmWithoutReader(t *testing.T) {
	isolate(t)
	exe, err := os.Executable()
	must(t, err)
	peer(t, "ipcrm")
	for _, program := range []string{exe, "ipcrm"} {
		p := &population{}
		args := []string{"-v"}
		for range 3 {
			seg := p.segment(t, sysv.Private, 4096, 0o600)
			args = append(args, "-m", fmt.Sprint(int(seg)), "-m", "2147483647")
		}
		r, w, err := os.Pipe()
		must(t, err)
		r.Close()
		cmd := exec.Command(program, args...)
		cmd.Env = []string{runAs + "=ipcrm", "LC_ALL=C"}
		var messages strings.Builder
		cmd.Stdout, cmd.Stderr = w, &messages
		_ = cmd.Run()
		if n := strings.Count(messages.String(), "\n"); n != 3 {
			t.Errorf("%s: %d messages, want 3:\n%s", program, n, &messages)
		}
		w.Close()
		for s, err := range sysv.Segments() {
			must(t, err)
			t.Errorf("%s left segment %d", program, s.ID)
		}
	}
}

// TestTerminal compares the tables on terminals of several widths.
func TestTerminal(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	populate(t)
	widths := []int{0, 20, 40, 60, 80, 100, 120, 133, 160, 200, 300}
	if testing.Short() {
		widths = []int{40, 80}
	}
	for _, columns := range widths {
		for _, args := range options(
			"-m", "-m -t", "-q", "-s", "-gm", "-m -o id,status,command", "-m -o command,status", "-m -o command,id,command", "-m --notruncate",
			"-m -J", "-m -r", "-m -o status", "-m -o id,status,perms", "-ye -m", "-s -ct", "-m -o +status,id", "-m -i 0", "-s -i 0",
		) {
			for _, env := range []environment{c(), {"LC_ALL": "C.UTF-8", "TZ": "UTC"}, {"LC_ALL": "C", "COLUMNS": "71"}} {
				sameOnTerminal(t, columns, env, args...)
			}
		}
	}
}

// TestExtremes has a status more than twice as long as the average. On a narrow terminal it
// does not count for the width of its column.
func TestExtremes(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	p := &population{}
	for i := range 7 {
		s := p.segment(t, sysv.Key(i), 4096, 0o600)
		ipctest.Start(t, "attach", nil, fmt.Sprint(int(s))).Line()
		if i == 3 {
			must(t, s.Lock())
		}
		must(t, s.Remove())
	}
	for columns := 1; columns < 60; columns++ {
		for _, args := range options("-m -o id,status,perms", "-m -o status,id,status,owner,command", "-m -o id,status", "-m -o command,status,id") {
			sameOnTerminal(t, columns, c(), args...)
		}
	}
}

func sameOnTerminal(t *testing.T, columns int, env environment, args ...string) {
	t.Helper()
	theirs := func(tty *os.File) {
		cmd := exec.Command("lsipc", args...)
		for k, v := range env {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		cmd.Stdout = tty
		must(t, cmd.Run())
	}
	got, want := settle(
		func() string {
			return onTerminal(t, columns, func(tty *os.File) { oursOn(tty, env, "lsipc", args...) })
		},
		func() string { return onTerminal(t, columns, theirs) })
	if got != want {
		t.Fatalf("lsipc %v %v on %d columns\n got\n%s\nwant\n%s", args, env, columns, visible(got), visible(want))
	}
}

// onTerminal returns what write wrote to a terminal.
func onTerminal(t *testing.T, columns int, write func(tty *os.File)) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals: %v", err)
	}
	defer master.Close()
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals: %v", err)
	}
	must(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns)}))
	read := make(chan string)
	go func() {
		// The read fails once the terminal was closed for the last time.
		text, _ := io.ReadAll(master)
		read <- string(text)
	}()
	write(tty)
	tty.Close()
	return <-read
}
