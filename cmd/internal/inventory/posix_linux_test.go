package inventory

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// makePOSIX makes an object of each kind under name, until the end of the test.
func makePOSIX(t testing.TB, name string, mode fs.FileMode) {
	t.Helper()
	o, err := posix.CreateObject(name, 8192, &posix.ObjectOptions{Mode: mode})
	if err == nil {
		err = o.Close()
	}
	var s *posix.Semaphore
	if err == nil {
		s, err = posix.CreateSemaphore(name, 3, &posix.SemaphoreOptions{Mode: mode})
	}
	if err == nil {
		err = s.Close()
	}
	var q *posix.Queue
	if err == nil {
		q, err = posix.CreateQueue(name, &posix.QueueOptions{Mode: mode, MaxMsgs: 2, MsgSize: 8})
	}
	if err == nil {
		err = q.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, unlink := range []func(string) error{posix.UnlinkObject, posix.UnlinkSemaphore, posix.UnlinkQueue} {
			if err := unlink(name); err != nil {
				t.Error(err)
			}
		}
	})
}

func findPOSIX(t testing.TB, inv *Inventory, kind ref.Kind, name string) *Object {
	t.Helper()
	for i := range inv.Objects {
		if o := &inv.Objects[i]; o.Ref() == (ref.Object{Kind: kind, Name: name}) {
			return o
		}
	}
	t.Fatalf("no %v:%s in %s", kind, name, dump(inv))
	return nil
}

// playUse uses an object of each kind: the memory is mapped read-only and privately,
// and open twice, the queue is open for sending.
func playUse(args []string) error {
	o, err := posix.OpenObject(args[0], posix.ReadOnly)
	if err != nil {
		return err
	}
	if _, err := o.Map(&posix.MapOptions{Prot: posix.ProtRead}); err != nil {
		return err
	}
	if _, err := o.Map(&posix.MapOptions{Private: true}); err != nil {
		return err
	}
	if _, err := posix.OpenObject(args[0], posix.ReadWrite); err != nil {
		return err
	}
	if _, err := posix.OpenSemaphore(args[0]); err != nil {
		return err
	}
	if _, err := posix.OpenQueue(args[0], posix.WriteOnly); err != nil {
		return err
	}
	fmt.Println("uses them")
	ipctest.Told()
	return nil
}

// playMap maps an object read-only.
func playMap(args []string) error {
	o, err := posix.OpenObject(args[0], posix.ReadOnly)
	if err != nil {
		return err
	}
	if _, err := o.Map(&posix.MapOptions{Prot: posix.ProtRead}); err != nil {
		return err
	}
	fmt.Println("maps it")
	ipctest.Told()
	return nil
}

// idle assumes that hidden processes use nothing. On some machines the first process is
// hidden, and in a container the processes outside it are.
var idle = Options{Want: WantVerdict | WantProgram, HiddenIdle: true}

func TestPOSIXUsers(t *testing.T) {
	makePOSIX(t, "/used", 0o600)
	makePOSIX(t, "/free", 0o600)
	user := start(t, "use", nil, "/used")
	inv := collectAll(t, idle)
	if len(inv.Objects) != 6 || len(inv.Unlisted) > 0 {
		t.Error(dump(inv))
	}

	o := findPOSIX(t, inv, ref.PShm, "/used")
	wantVerdict(t, o, InUse, "mapped open age")
	if len(o.Use.Mapped) != 1 || len(o.Use.Open) != 1 {
		t.Fatal(dump(o))
	}
	m, u := o.Use.Mapped[0], o.Use.Open[0]
	if m.PID != user.PID() || m.ReadOnly || m.Private || m.Mappings != 2 {
		t.Error(dump(m))
	}
	if u.PID != user.PID() || !u.Read || !u.Write || u.Descriptors != 2 {
		t.Error(dump(u))
	}
	if o.PShm.Size != 8192 || o.PShm.Mode != 0o600 {
		t.Error(dump(o))
	}

	o = findPOSIX(t, inv, ref.PSem, "/used")
	wantVerdict(t, o, InUse, "mapped age")
	if o.PSem.Value != 3 || len(o.Use.Mapped) != 1 || o.Use.Mapped[0].ReadOnly {
		t.Error(dump(o))
	}
	o = findPOSIX(t, inv, ref.PMsg, "/used")
	wantVerdict(t, o, InUse, "open age")
	if u := o.Use.Open[0]; u.PID != user.PID() || u.Read || !u.Write || o.PMsg.MaxMsgs != 2 {
		t.Error(dump(o))
	}
	for _, kind := range ref.POSIX() {
		wantVerdict(t, findPOSIX(t, inv, kind, "/free"), Orphan, "not-open age")
	}

	user.Kill()
	inv = collectAll(t, idle)
	for _, kind := range ref.POSIX() {
		wantVerdict(t, findPOSIX(t, inv, kind, "/used"), Orphan, "not-open age")
	}
}

// TestPOSIXAndSystemV: Collect finds the users of both families at once.
func TestPOSIXAndSystemV(t *testing.T) {
	makePOSIX(t, "/x", 0o600)
	seg := createSegment(t, 0x77, 4096, 0o600)
	start(t, "attach", nil, "rw", int(seg))
	user := startApart(t, "map", []string{"unshare", "--ipc"}, "/x") // memory is in no IPC namespace
	user.Line()
	inv := collectAll(t, Options{Want: WantAttached | WantOpen})
	if o := find(t, inv, ref.Shm, int(seg)); len(o.Use.Attached) != 1 || o.Use.HiddenAttachments != 0 {
		t.Error(dump(o))
	}
	if o := findPOSIX(t, inv, ref.PShm, "/x"); len(o.Use.Mapped) != 1 || o.Use.Mapped[0].PID != user.PID() || !o.Use.Mapped[0].ReadOnly {
		t.Error(dump(o))
	}
	inv = collectAll(t, Options{Kinds: ref.SystemV(), Want: WantAttached | WantOpen})
	if len(inv.Objects) != 1 || len(inv.Objects[0].Use.Attached) != 1 {
		t.Error(dump(inv))
	}
}

// TestPOSIXUnseen: an ordinary user does not see who else uses an object.
func TestPOSIXUnseen(t *testing.T) {
	makePOSIX(t, "/x", 0o666)
	start(t, "use", nil, "/x")
	inv := parseView(t, ipctest.Start(t, "view", nobody).Line())
	for _, kind := range ref.POSIX() {
		o := findPOSIX(t, inv, kind, "/x")
		wantVerdict(t, o, Unknown, "process-hidden age")
		if len(o.Use.Mapped)+len(o.Use.Open) > 0 || !inv.Hidden.Whole() {
			t.Error(dump(o))
		}
	}
}

// TestPOSIXNotMounted: a kind that cannot be listed is no error unless it was asked for by
// name.
func TestPOSIXNotMounted(t *testing.T) {
	makePOSIX(t, "/x", 0o600)
	if err := unix.Mount("tmpfs", "/dev/mqueue", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount("/dev/mqueue", 0); err != nil {
			t.Error(err)
		}
	}()
	inv := collectAll(t, Options{})
	if len(inv.Objects) != 2 || len(inv.Unlisted) != 1 || inv.Unlisted[0].Kind != ref.PMsg || !strings.Contains(inv.Unlisted[0].Err.Error(), "POSIX message queues are not listed: ") {
		t.Error(dump(inv))
	}
	if inv, err := Collect(Options{Kinds: ref.POSIX()}); err == nil || len(inv.Objects) != 2 {
		t.Errorf("%v, %s", err, dump(inv))
	}
}

func TestPOSIXNames(t *testing.T) {
	names := map[string]string{
		"/PostgreSQL.123":       "PostgreSQL",
		"/PostgreSQL.123a":      "",
		"/PostgreSQL.":          "",
		"/psm_0a1b2c3d":         "Python (multiprocessing.shared_memory)",
		"/pulse-shm-123":        "PulseAudio",
		"/.com.google.Chrome.x": "Chrome",
		"/other":                "",
	}
	for name := range names {
		if err := os.WriteFile("/dev/shm"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove("/dev/shm" + name) })
	}
	inv := collectAll(t, idle)
	for name, want := range names {
		got := ""
		if p := findPOSIX(t, inv, ref.PShm, name).Use.Program; p != nil && !p.Sure && len(p.Reasons) == 1 {
			got = p.Name
		}
		if got != want {
			t.Errorf("%s belongs to %q, want %q", name, got, want)
		}
	}
}

// TestPOSIXAside: an open object is no orphan, even if no table of a process shows it.
func TestPOSIXAside(t *testing.T) {
	makePOSIX(t, "/x", 0o600)
	program := ipctest.Compile(t, "testdata/aside.c", "-pthread")
	for _, how := range []string{"socket", "thread"} {
		for kind, path := range map[ref.Kind]string{ref.PShm: "/dev/shm/x", ref.PSem: "/dev/shm/sem.x", ref.PMsg: "/dev/mqueue/x"} {
			p := ipctest.Run(t, program, how, path)
			p.Line()
			wantVerdict(t, findPOSIX(t, collectAll(t, idle), kind, "/x"), InUse, "open age")
			p.Kill()
			wantVerdict(t, findPOSIX(t, collectAll(t, idle), kind, "/x"), Orphan, "not-open age")
		}
	}
}

// TestPOSIXLinks: each name of a file has the users of the file.
func TestPOSIXLinks(t *testing.T) {
	makePOSIX(t, "/x", 0o600)
	if err := os.Link("/dev/shm/x", "/dev/shm/y"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/dev/shm/y") })
	start(t, "use", nil, "/x")
	inv := collectAll(t, idle)
	for _, name := range []string{"/x", "/y"} {
		o := findPOSIX(t, inv, ref.PShm, name)
		wantVerdict(t, o, InUse, "mapped open age")
		if len(o.Use.Mapped) != 1 || o.Use.Mapped[0].Mappings != 2 || len(o.Use.Open) != 1 || o.Use.Open[0].Descriptors != 2 {
			t.Error(dump(o))
		}
	}
}
