package utillinux_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/utillinux"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(runAs); name != "" {
		os.Exit(utillinux.Lookup(name)(os.Args[1:], program.Env{
			Name: name, Version: version, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
		}))
	}
	ipctest.Play(map[string]ipctest.Role{
		"attach": playAttach,
		"create": playCreate,
		"wait":   playWait,
		"sleep":  playSleep,
	})
	ipctest.Main(m)
}

// runAs is the environment variable that makes the test program one of the four programs.
const runAs = "GIPC_TEST_RUN_AS"

const version = "0.0-test"

// isolate gives the rest of the test its own IPC namespace, and passwd and group files with
// names for the population. Only the test's goroutine and the processes it starts are in
// the namespace, so t.Run does not work.
func isolate(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWIPC | unix.CLONE_NEWNS); err != nil {
		t.Skipf("no namespaces: %v", err)
	}
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	overlay(t, "/etc/passwd", passwd)
	overlay(t, "/etc/group", group)
}

const (
	passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
broken:x
nobody:x:65534:65534:nobody:/:/bin/false
ten_chars_:x:1010:1010::/:/bin/sh
eleven_char:x:1011:1011::/:/bin/sh
a_very_long_name_of_a_service:x:1030:1030::/:/bin/sh
second:x:1010:1010:a second name of the same id:/:/bin/sh
huge:x:4294967294:4294967294::/:/bin/sh
`
	group = `root:x:0:
nogroup:x:65534:
tengroup__:x:1010:a,b,c
a_group_with_a_long_name:x:1030:
`
)

// overlay mounts a file with other contents over path.
func overlay(t testing.TB, path, contents string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	must(t, os.WriteFile(file, []byte(contents), 0o644))
	must(t, unix.Mount(file, path, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// peer skips the test unless a program of util-linux 2.38 is installed.
func peer(t testing.TB, name string) {
	t.Helper()
	out, err := exec.Command(name, "-V").Output()
	if err != nil {
		t.Skipf("needs %s of util-linux 2.38: %v", name, err)
	}
	if !strings.Contains(string(out), "util-linux 2.38") {
		t.Skipf("needs %s of util-linux 2.38, here is %s", name, out)
	}
}

// An environment is all environment variables.
type environment map[string]string

// An outcome is everything that a caller sees of a program.
type outcome struct {
	stdout, stderr string
	status         int
}

// theirs runs the program of util-linux.
func theirs(t testing.TB, env environment, name string, args ...string) outcome {
	t.Helper()
	return theirsAt(t, name, env, name, args...)
}

// theirsAt runs the program of util-linux that is at path.
func theirsAt(t testing.TB, path string, env environment, name string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Args[0] = name
	cmd.Env = []string{}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ours runs our program.
func ours(env environment, name string, args ...string) outcome {
	var stdout bytes.Buffer
	stderr, status := oursOn(&stdout, env, name, args...)
	return outcome{stdout.String(), stderr, status}
}

// oursOn runs our program with the given standard output.
func oursOn(stdout io.Writer, env environment, name string, args ...string) (messages string, status int) {
	var stderr bytes.Buffer
	status = utillinux.Lookup(name)(args, program.Env{
		Name: name, Version: version, Stdout: stdout, Stderr: &stderr,
		LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
	})
	return stderr.String(), status
}

// same compares the two programs.
func same(t *testing.T, env environment, name string, args ...string) {
	t.Helper()
	got, want := settle(
		func() outcome { return ours(env, name, args...) },
		func() outcome { return theirs(t, env, name, args...) })
	if got == want {
		return
	}
	t.Errorf("%s %s %v\n got status %d\n%s%s\nwant status %d\n%s%s", name, strings.Join(args, " "), env,
		got.status, visible(got.stdout), visible(got.stderr), want.status, visible(want.stdout), visible(want.stderr))
}

// settle returns the results of ours and theirs for the same state. In between, a
// creator's pid may be reused, or the day may change; then theirs returns something
// else when called again.
func settle[T comparable](ours, theirs func() T) (got, want T) {
	for {
		want, got = theirs(), ours()
		if got == want || theirs() == want {
			return got, want
		}
	}
}

// visible marks the ends of lines.
func visible(s string) string { return strings.ReplaceAll(s, "\n", "$\n") }

// The roles.

// playAttach attaches a segment, confirms it, and stays attached.
func playAttach(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if _, err := sysv.Segment(id).Attach(nil); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString("attached\n")
	if err == nil {
		select {}
	}
	return err
}

// playCreate makes an object of each kind and stays.
func playCreate([]string) error {
	segment, err := sysv.CreateSegment(sysv.Private, 8192, &sysv.SegmentOptions{Mode: 0o640})
	if err != nil {
		return err
	}
	queue, err := sysv.CreateQueue(sysv.Private, &sysv.QueueOptions{Mode: 0o666})
	if err != nil {
		return err
	}
	if _, err := queue.TrySend(1, []byte("from another user")); err != nil {
		return err
	}
	set, err := sysv.CreateSet(sysv.Private, 3, &sysv.SetOptions{Mode: 0o644})
	if err != nil {
		return err
	}
	if err := set.SetValue(1, 7); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(strconv.Itoa(int(segment)) + " " + strconv.Itoa(int(queue)) + " " + strconv.Itoa(int(set)) + "\n")
	if err == nil {
		select {}
	}
	return err
}

// playWait waits on a semaphore of a set: on number 0 to increase, or on number 1 to
// become zero.
func playWait(args []string) error {
	id, _ := strconv.Atoi(args[0])
	op := sysv.Op{Num: 0, Add: -100}
	if args[1] == "zero" {
		op = sysv.Op{Num: 1, Add: 0}
	}
	_, err := os.Stdout.WriteString("waiting\n")
	if err == nil {
		err = sysv.Set(id).Do(context.Background(), op)
	}
	return err
}

// playSleep does nothing.
func playSleep([]string) error {
	if _, err := os.Stdout.WriteString("here\n"); err != nil {
		return err
	}
	select {}
}

// A population is the objects in a namespace.
type population struct {
	segments []sysv.Segment
	queues   []sysv.Queue
	sets     []sysv.Set
}

func (p *population) segment(t testing.TB, key sysv.Key, size int64, mode fs.FileMode) sysv.Segment {
	t.Helper()
	s, err := sysv.CreateSegment(key, size, &sysv.SegmentOptions{Mode: mode, NoReserve: true})
	must(t, err)
	p.segments = append(p.segments, s)
	return s
}

func (p *population) queue(t testing.TB, key sysv.Key, mode fs.FileMode) sysv.Queue {
	t.Helper()
	q, err := sysv.CreateQueue(key, &sysv.QueueOptions{Mode: mode})
	must(t, err)
	p.queues = append(p.queues, q)
	return q
}

func (p *population) set(t testing.TB, key sysv.Key, mode fs.FileMode, values ...uint16) sysv.Set {
	t.Helper()
	s, err := sysv.CreateSet(key, len(values), &sysv.SetOptions{Mode: mode})
	must(t, err)
	must(t, s.SetValues(values))
	p.sets = append(p.sets, s)
	return s
}

// strangers returns ids of users and groups: with names of ten, eleven and many characters,
// without a name for the group, without any name, and the highest number.
func strangers() []uint32 { return []uint32{1010, 1011, 1030, 65534, 54321, 4294967294} }

// populate fills the namespace with objects of every kind, owner, mode and state.
func populate(t *testing.T) *population {
	t.Helper()
	p := &population{}
	const page = 4096 // whole pages; lsipc miscounts others
	p.segment(t, sysv.Private, page, 0o600)
	p.segment(t, 0x4d2, 2*page, 0o644)
	p.segment(t, math32(0x80000001), 375*page, 0)
	p.segment(t, -1, page, 0o777)
	p.segment(t, 7, 375<<min(30, bits.UintSize-32+20), 0o400) // the most that a C long can hold
	p.segment(t, 8, 1<<20-page, 0o200)
	must(t, p.segment(t, 9, page, 0o666).Lock())

	q := p.queue(t, 0x4d2, 0o622)
	send(t, q, 3, "hello")
	send(t, q, 1, strings.Repeat("x", 5000))
	_, _, _, err := q.TryReceive(make([]byte, 10), sysv.ReceiveOptions{})
	must(t, err)
	p.queue(t, sysv.Private, 0)
	p.queue(t, math32(0xfffffffe), 0o777)
	send(t, p.queue(t, 5, 0o600), 1, "")

	p.set(t, 0x4d2, 0o600, 1)
	p.set(t, sysv.Private, 0, 0, 1, 2, 32767)
	p.set(t, math32(0xdeadbeef), 0o777, make([]uint16, 40)...)

	p.addStrangers(t)
	p.addStates(t)
	p.addHighIDs(t)
	return p
}

func math32(key uint32) sysv.Key { return sysv.Key(key) }

func send(t testing.TB, q sysv.Queue, mtype int, text string) {
	t.Helper()
	if ok, err := q.TrySend(mtype, []byte(text)); err != nil || !ok {
		t.Fatalf("send: %t, %v", ok, err)
	}
}

// addStrangers adds objects that other users own or made.
func (p *population) addStrangers(t *testing.T) {
	t.Helper()
	for _, id := range strangers() {
		o := sysv.Ownership{UID: id, GID: id, Mode: 0o640}
		if err := p.segment(t, sysv.Private, 4096, 0o600).SetOwnership(o); err != nil {
			t.Logf("without other owners: %v", err) // in a user namespace
			return
		}
		must(t, p.set(t, sysv.Private, 0o600, 1, 2).SetOwnership(o))
		must(t, p.queue(t, sysv.Private, 0o600).SetOwnership(o, 4096))
	}
	for _, id := range strangers() {
		credential := &syscall.Credential{Uid: id, Gid: id, NoSetGroups: true}
		// Arguments that need escaping appear in the column COMMAND.
		maker := ipctest.Start(t, "create", credential, "tab\tback\\x41 \"quoted\" $x `y`", "na\u00efve \u6f22\u5b57", "", "\x80\x1b[1m")
		line := strings.Fields(maker.Line())
		p.segments = append(p.segments, sysv.Segment(atoi(t, line[0])))
		p.queues = append(p.queues, sysv.Queue(atoi(t, line[1])))
		p.sets = append(p.sets, sysv.Set(atoi(t, line[2])))
		if id == 1010 {
			maker.Kill() // their creator is gone
		}
	}
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	must(t, err)
	return n
}

// addStates adds objects in use.
func (p *population) addStates(t *testing.T) {
	t.Helper()
	attached := p.segment(t, 0x51, 4096, 0o600)
	dest := p.segment(t, 0x52, 4096, 0o600)
	both := p.segment(t, 0x53, 4096, 0o600)
	must(t, both.Lock())
	for _, s := range []sysv.Segment{attached, attached, dest, both} {
		if line := ipctest.Start(t, "attach", nil, strconv.Itoa(int(s))).Line(); line != "attached" {
			t.Fatalf("attach: %q", line)
		}
	}
	must(t, dest.Remove())
	must(t, both.Remove())
	detached := p.segment(t, 0x54, 4096, 0o600)
	a, err := detached.Attach(nil)
	must(t, err)
	must(t, a.Detach())

	busy := p.set(t, 0x55, 0o600, 1, 3, 0)
	must(t, busy.Do(t.Context(), sysv.Op{Num: 2, Add: 4}))
	for _, what := range []string{"grow", "grow", "zero"} {
		ipctest.Start(t, "wait", nil, strconv.Itoa(int(busy)), what).Line()
	}
	for {
		n, err := busy.NCount(0)
		must(t, err)
		z, err := busy.ZCount(1)
		must(t, err)
		if n == 2 && z == 1 {
			return
		}
		runtime.Gosched()
	}
}

// addHighIDs adds objects with identifiers above 100000, by reusing a slot of the
// kernel's tables.
func (p *population) addHighIDs(t *testing.T) {
	t.Helper()
	const high = 100000
	for {
		s := p.segment(t, 0x99, 4096, 0o600)
		q := p.queue(t, 0x99, 0o600)
		set := p.set(t, 0x99, 0o600, 5)
		if s > high && q > high && set > high {
			return
		}
		must(t, s.Remove())
		must(t, q.Remove())
		must(t, set.Remove())
		p.segments = p.segments[:len(p.segments)-1]
		p.queues = p.queues[:len(p.queues)-1]
		p.sets = p.sets[:len(p.sets)-1]
	}
}

// nobody is a user who owns no objects.
const nobody = 65534

// asUser returns a command that runs our program without privileges.
func asUser(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{runAs + "=" + name, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}}
	try := exec.Command("/bin/true")
	try.SysProcAttr = cmd.SysProcAttr
	if err := try.Run(); err != nil {
		t.Skipf("cannot become another user: %v", err)
	}
	return cmd
}
