package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func namespaces(t testing.TB) []Namespace {
	t.Helper()
	list, _, err := Namespaces("")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func namespaceOf(t testing.TB, pid int) Namespace {
	t.Helper()
	list := namespaces(t)
	i := slices.IndexFunc(list, func(n Namespace) bool { return slices.Contains(n.PIDs, pid) })
	if i < 0 {
		t.Fatalf("process %d is in none of %+v", pid, list)
	}
	return list[i]
}

func TestNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	own := createSegment(t, 0x401, 4096, 0o600)
	apart := startApart(t, "make", []string{"unshare", "-i"})
	ids := numbers(strings.Fields(apart.Line()))
	n := namespaceOf(t, apart.PID())
	if n.Own || n.Comm == "" || len(n.PIDs) != 1 {
		t.Errorf("%+v", n)
	}
	if n := namespaceOf(t, os.Getpid()); !n.Own {
		t.Errorf("%+v", n)
	}

	var inside *Inventory
	err := n.Do(func() (err error) {
		inside, err = Collect(Options{Want: everything})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if inside.Namespace != n.Inode || len(inside.Objects) != 3 || inside.find(ref.Shm, ids[0]) == nil {
		t.Errorf("inside: %s", dump(inside))
	}
	wantVerdict(t, find(t, inside, ref.Sem, ids[1]), Idle, "not-waiting process-alive age")
	if len(inside.Objects[0].Use.Actors) == 0 || inside.Objects[0].Use.Memory == nil {
		t.Errorf("inside: %s", dump(inside.Objects[0]))
	}

	stayedHere(t, n, own)

	// Do returns what f returns, and needs no rights to enter its own namespace.
	want := errors.New("f")
	if err := namespaceOf(t, os.Getpid()).Do(func() error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
	apart.Kill()
	if err := n.Do(func() error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a namespace that is gone: %v", err)
	}
}

// stayedHere checks that visits to another namespace have left every thread in this one.
func stayedHere(t *testing.T, n Namespace, own sysv.Segment) {
	t.Helper()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			inv, err := Collect(Options{})
			if err != nil || len(inv.Objects) != 1 || inv.Objects[0].ID() != int(own) || inv.Objects[0].Perm().Key != 0x401 {
				t.Errorf("here: %v, %s", err, dump(inv))
			}
		})
	}
	wg.Wait()

	// The process has not moved either. /proc shows the namespace of its first thread.
	for range 200 {
		if err := n.Do(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := namespaceOf(t, os.Getpid()); !n.Own {
		t.Errorf("the first thread was left in %d", n.Inode)
	}
}

func TestNamespaceOfAnotherProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	seg := createSegment(t, 0x402, 4096, 0o600)
	// A process in a namespace of its own looks back into this one.
	viewer := startApart(t, "look back", []string{"unshare", "-i"}, os.Getpid())
	inv := parseView(t, viewer.Wait())
	if len(inv.Objects) != 1 || inv.Objects[0].ID() != int(seg) || inv.Objects[0].Perm().Key != 0x402 {
		t.Error(dump(inv))
	}
}

func TestNamespaceMounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	apart := startApart(t, "make", []string{"unshare", "-i"})
	apart.Line()
	inode := namespaceOf(t, apart.PID()).Inode
	file := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := "/proc/" + words([]any{apart.PID()})[0] + "/ns/ipc"
	if out, err := exec.Command("mount", "--bind", path, file).CombinedOutput(); err != nil {
		t.Skipf("can't mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", file).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	apart.Kill()

	list := namespaces(t)
	i := slices.IndexFunc(list, func(n Namespace) bool { return n.Inode == inode })
	if i < 0 || !slices.Equal(list[i].Mounts, []string{file}) || len(list[i].PIDs) != 0 {
		t.Fatalf("%d is not found: %+v", inode, list)
	}
	at, err := NamespaceAt(file)
	if err != nil || at.Inode != inode {
		t.Fatalf("%+v, %v", at, err)
	}
	for _, n := range []Namespace{list[i], at} {
		if err := n.Do(func() error {
			inv, err := Collect(Options{Want: WantVerdict, HiddenIdle: true})
			if err == nil && (len(inv.Objects) != 3 || inv.Objects[0].Use.Verdict != Orphan) {
				t.Errorf("inside: %s", dump(inv))
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if _, err := NamespaceAt("/etc/passwd"); err == nil {
		t.Error("a file is taken for a namespace")
	}
}

func TestNamespacesOfOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	apart := startApart(t, "make", []string{"unshare", "-i"})
	apart.Line()
	viewer := ipctest.Start(t, "denied", nobody, words([]any{apart.PID()})...)
	if got := viewer.Wait(); got != "hidden, denied\n" {
		t.Errorf("%q", got)
	}
}

// stray starts a process that leaves the IPC namespace, except for a thread.
func stray(t *testing.T, queue, user int) *ipctest.Process {
	t.Helper()
	p := ipctest.Run(t, ipctest.Compile(t, "testdata/strayed.c", "-pthread"), fmt.Sprint(queue), fmt.Sprint(user))
	p.Line()
	p.Line()
	return p
}

// TestThreadWaitsHere: a thread waits on a queue, though its process is elsewhere.
func TestThreadWaitsHere(t *testing.T) {
	queue := createQueue(t, 0x123, 0o600)
	p := stray(t, int(queue), 0)
	inv := await(t, idle, waiting(ref.Msg, int(queue), 1))
	o := find(t, inv, ref.Msg, int(queue))
	wantVerdict(t, o, InUse, "waiting never-used age")
	if w := o.Use.Waiting[0]; w.PID != p.PID() || w.TID == p.PID() {
		t.Error(dump(w))
	}
}

// TestThreadOfOwner: a thread acts as another user than its process.
func TestThreadOfOwner(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	maker := ipctest.Start(t, "make", &syscall.Credential{Uid: uint32(stranger), Gid: uint32(stranger)})
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	maker.Kill()
	want := func(answer Answer, verdict Verdict, reasons string) {
		t.Helper()
		o := find(t, collectAll(t, Options{Want: WantOwner | WantVerdict, HiddenIdle: true}), ref.Shm, ids[0])
		wantVerdict(t, o, verdict, reasons)
		if o.Use.OwnerGone != answer {
			t.Errorf("the owner is gone: %v, want %v", o.Use.OwnerGone, answer)
		}
	}
	want(Yes, Orphan, "not-attached process-gone age")
	p := stray(t, -1, stranger)
	want(No, Orphan, "not-attached process-gone age") // the program makes no segments
	p.Kill()
	want(Yes, Orphan, "not-attached process-gone age")
}
