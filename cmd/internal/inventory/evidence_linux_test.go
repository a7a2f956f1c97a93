package inventory

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// stranger is a user without other processes on the machine.
var stranger = ipctest.User(0)

// prefork starts a server whose worker has made a set and ended.
func prefork(t *testing.T, program string, master, worker int, key sysv.Key) (*ipctest.Process, sysv.Set) {
	t.Helper()
	p := ipctest.Run(t, program, fmt.Sprint(master), fmt.Sprint(worker), fmt.Sprintf("%d", key))
	set := sysv.Set(numbers([]string{p.Line()})[0])
	t.Cleanup(func() { remove(t, set) })
	p.Line()
	return p, set
}

// compiledAs compiles a program under the name of another one.
func compiledAs(t *testing.T, source, name string) string {
	t.Helper()
	program := ipctest.Compile(t, source)
	path := filepath.Join(t.TempDir(), name)
	if err := os.Link(program, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantSet(t *testing.T, set sysv.Set, verdict Verdict, reasons string) {
	t.Helper()
	wantVerdict(t, find(t, collectAll(t, Options{Want: WantVerdict}), ref.Sem, int(set)), verdict, reasons)
}

// TestServerRests: a set is no orphan while a living process may know it, even though its
// last user has ended. A process that lacks the calls cannot know it; one that is linked
// statically may.
func TestServerRests(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	program, idler := ipctest.Compile(t, "testdata/prefork.c"), ipctest.Compile(t, "testdata/idler.c")
	for _, tt := range []struct {
		name           string
		master, worker int
		alive          string
	}{
		{"of the same user", stranger, stranger, "not-waiting process-gone owner-alive age"},
		{"of root", 0, stranger, "not-waiting process-gone root-alive age"},
		{"all of root", 0, 0, "not-waiting process-gone owner-alive age"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ipctest.Run(t, idler, fmt.Sprint(tt.worker)).Line()
			server, set := prefork(t, program, tt.master, tt.worker, sysv.Private)
			wantSet(t, set, Unknown, tt.alive)
			server.Kill()
			wantSet(t, set, Orphan, "not-waiting process-gone age")
		})
	}
	t.Run("linked statically", func(t *testing.T) {
		ipctest.Run(t, ipctest.Compile(t, "testdata/idler.c", "-static"), fmt.Sprint(stranger)).Line()
		server, set := prefork(t, program, stranger, stranger, sysv.Private)
		server.Kill()
		wantSet(t, set, Unknown, "not-waiting process-gone owner-alive age")
	})
}

// TestServerRestarted: workers of a restarted server find objects that have a key, whoever
// made them, and no others.
func TestServerRestarted(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	killed, set := prefork(t, ipctest.Compile(t, "testdata/prefork.c"), 0, stranger, 0x1234)
	killed.Kill()
	maker := ipctest.Start(t, "make", &syscall.Credential{Uid: uint32(stranger), Gid: uint32(stranger)})
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	maker.Kill()
	time.Sleep(3 * time.Second) // the kernel notes in seconds when an object was used
	segment := func(reasons string) {
		t.Helper()
		wantVerdict(t, find(t, collectAll(t, Options{Want: WantVerdict}), ref.Shm, ids[0]), Orphan, reasons)
	}
	const gone = "not-waiting process-gone age"
	wantSet(t, set, Orphan, gone)
	php := ipctest.Run(t, compiledAs(t, "testdata/idler.c", "php-fpm8.2"), "0")
	php.Line()
	wantSet(t, set, Unknown, "not-waiting process-gone root-alive age")
	segment("not-attached process-gone age")
	php.Kill()
	wantSet(t, set, Orphan, gone)
	postgres := ipctest.Run(t, compiledAs(t, "testdata/idler.c", "postgres"), fmt.Sprint(stranger))
	postgres.Line()
	segment("not-attached process-gone age")
}

// TestBetweenPrograms: a process that has no program mapped for a moment is looked at
// again. If it stays like that, it may know an object. If many stay like that for long, the
// rest may know one too, because the pauses for all of them are limited together.
func TestBetweenPrograms(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	idler := ipctest.Compile(t, "testdata/idler.c")
	maps := make(map[string]int) // how often each idler's mappings were read
	for range 20 {
		p := ipctest.Run(t, idler, fmt.Sprint(stranger))
		p.Line()
		maps[fmt.Sprintf("%d/maps", p.PID())] = 0
	}
	server, set := prefork(t, ipctest.Compile(t, "testdata/prefork.c"), stranger, stranger, sysv.Private)
	server.Kill()
	want := func(empty int, verdict Verdict, reasons string) {
		t.Helper()
		for name := range maps {
			maps[name] = 0
		}
		inv := collectAll(t, Options{Want: WantVerdict, fault: func(call, name string) ([]byte, error) {
			if _, ok := maps[name]; !ok || call != "ioctl" && call != "read" {
				return nil, nil
			}
			switch maps[name]++; {
			case maps[name] > empty:
				return nil, nil
			case call == "read": // Linux before 6.11
				return []byte{}, nil
			default:
				return nil, unix.ENOENT // the end of the list
			}
		}})
		wantVerdict(t, find(t, inv, ref.Sem, int(set)), verdict, reasons)
	}
	want(2, Orphan, "not-waiting process-gone age")
	want(10, Unknown, "not-waiting process-gone owner-alive age")
	want(math.MaxInt, Unknown, "not-waiting process-gone owner-alive age")
}

// TestOwnerGone: if nobody has used an object, only its owner shows that it is not needed.
func TestOwnerGone(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	maker := ipctest.Start(t, "make", &syscall.Credential{Uid: uint32(stranger), Gid: uint32(stranger)})
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	want := func(what string, want Answer) {
		t.Helper()
		inv := collectAll(t, Options{Want: WantOwner})
		for i, kind := range ref.SystemV() {
			if o := find(t, inv, kind, ids[i]); o.Use.OwnerGone != want {
				t.Errorf("%s: %v, want %v: %s", what, o.Use.OwnerGone, want, dump(o))
			}
		}
	}
	want("while its maker lives", No)
	maker.Kill()
	want("when its maker has ended", Yes)
	other := ipctest.Run(t, ipctest.Compile(t, "testdata/idler.c"), fmt.Sprint(stranger))
	other.Line()
	want("while another process of the user lives", No)
	other.Kill()
	want("when that has ended", Yes)

	mine := createSet(t, sysv.Private, 0o600, 0)
	if o := find(t, collectAll(t, Options{Want: WantOwner}), ref.Sem, int(mine)); o.Use.OwnerGone != No {
		t.Errorf("of root: %s", dump(o))
	}
}

// TestOwnerMayReturn: a user is not gone just because its server has no worker now.
func TestOwnerMayReturn(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	server, set := prefork(t, compiledAs(t, "testdata/prefork.c", "php-fpm8.2"), 0, stranger, sysv.Private)
	want := func(what string, want Answer) {
		t.Helper()
		if o := find(t, collectAll(t, Options{Want: WantOwner}), ref.Sem, int(set)); o.Use.OwnerGone != want {
			t.Errorf("%s: %v, want %v: %s", what, o.Use.OwnerGone, want, dump(o))
		}
	}
	want("while the server lives", NotKnown)
	server.Kill()
	want("when it has ended", Yes)
}

// TestNamedAfter: an object whose name has the id of a living process is no orphan.
func TestNamedAfter(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	p := ipctest.Run(t, ipctest.Compile(t, "testdata/idler.c"), fmt.Sprint(stranger))
	p.Line()
	var paths []string
	for _, name := range []string{"cache_%d", "sem.loky-%d-abc123", "pid%d.lock"} {
		name = fmt.Sprintf(name, p.PID())
		path := filepath.Join("/dev/shm", name)
		if err := os.WriteFile(path, make([]byte, 32), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
		paths = append(paths, path)
	}
	verdicts := func(want Verdict, reasons string) {
		t.Helper()
		inv := collectAll(t, Options{Want: WantVerdict, Kinds: []ref.Kind{ref.PShm, ref.PSem}})
		if len(inv.Objects) != 3 {
			t.Fatalf("%d objects, want 3", len(inv.Objects))
		}
		for i := range inv.Objects {
			wantVerdict(t, &inv.Objects[i], want, reasons)
		}
	}
	verdicts(Unknown, "named-after age")
	owner := func(uid int) {
		t.Helper()
		for _, path := range paths {
			if err := os.Chown(path, uid, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	owner(p.PID()) // then it is the id of the user
	verdicts(Orphan, "not-open age")
	owner(0)
	verdicts(Unknown, "named-after age")
	p.Kill()
	verdicts(Orphan, "not-open age")
}

// TestServedByName: an object that clients of a server open by name, one after the other,
// is no orphan between two clients.
func TestServedByName(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	const token, job = "/dev/shm/var.lib.opencryptoki.swtok", "/dev/shm/vader_segment.host.1.2.3"
	for _, path := range []string{token, job} {
		if err := os.WriteFile(path, make([]byte, 32), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, stranger, stranger); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
	}
	verdict := func(path string, want Verdict, reasons string) {
		t.Helper()
		inv := collectAll(t, Options{Want: WantVerdict, Kinds: []ref.Kind{ref.PShm}})
		wantVerdict(t, findPOSIX(t, inv, ref.PShm, "/"+filepath.Base(path)), want, reasons)
	}
	for _, server := range []struct {
		name    string
		user    int
		token   Verdict
		reasons string
	}{
		{"pkcsslotd", 0, Unknown, "server-alive age"},
		{"orterun", stranger, Orphan, "not-open age"},
	} {
		p := ipctest.Run(t, compiledAs(t, "testdata/idler.c", server.name), fmt.Sprint(server.user))
		p.Line()
		verdict(token, server.token, server.reasons)
		verdict(job, Orphan, "not-open age")
		p.Kill()
		verdict(token, Orphan, "not-open age")
	}
}

// TestStoppedWaiters: a process that may not use an object does not count as waiting on it,
// wherever its tracer has stopped it.
func TestStoppedWaiters(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	maker := ipctest.Start(t, "make", nil)
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	maker.Kill()
	stopped := ipctest.Run(t, ipctest.Compile(t, "testdata/stopped.c"), fmt.Sprint(stranger), fmt.Sprint(ids[2]), fmt.Sprint(ids[1]))
	defer stopped.Kill()
	stopped.Line()
	inv := collectAll(t, Options{Want: WantVerdict, HiddenIdle: true, WithMessages: true})
	wantVerdict(t, find(t, inv, ref.Sem, ids[1]), Orphan, "not-waiting process-gone age")
	wantVerdict(t, find(t, inv, ref.Msg, ids[2]), Orphan, "process-gone not-waiting age")
}

// TestHeir: a process that was forked after the last use of a set knows what its parent
// knew, even if the parent has ended. A program that was started since does not.
func TestHeir(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	heir := ipctest.Run(t, ipctest.Compile(t, "testdata/heir.c"), fmt.Sprint(stranger))
	set := sysv.Set(numbers([]string{heir.Line()})[0])
	t.Cleanup(func() { remove(t, set) })
	time.Sleep(3 * time.Second) // the kernel notes in seconds when an object was used
	other := ipctest.Run(t, compiledAs(t, "testdata/heir.c", "other"), fmt.Sprint(stranger))
	others := sysv.Set(numbers([]string{other.Line()})[0])
	t.Cleanup(func() { remove(t, others) })
	heir.Tell("")
	heir.Line()
	wantSet(t, set, Unknown, "not-waiting process-gone owner-alive age")
	heir.End()
	wantSet(t, set, Orphan, "not-waiting process-gone age")
}
