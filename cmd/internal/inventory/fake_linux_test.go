package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// A fakeProc is a tree of files that stands in for /proc.
type fakeProc struct {
	t    *testing.T
	root string
}

const fakeNamespace uint64 = 4026532001

func newFakeProc(t *testing.T, boot time.Time) fakeProc {
	t.Helper()
	f := fakeProc{t, t.TempDir()}
	f.write("stat", fmt.Sprintf("cpu 1 2 3\nbtime %d\n", boot.Unix()))
	f.link("thread-self/ns/ipc", fmt.Sprintf("ipc:[%d]", fakeNamespace))
	f.link("self/ns/pid", "pid:[4026531836]")
	return f
}

func (f fakeProc) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f fakeProc) link(name, target string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		f.t.Fatal(err)
	}
}

// process adds a process; flags are those of the kernel (PF_*).
func (f fakeProc) process(pid int, comm string, uid, flags int, start time.Duration, namespace uint64, maps string) {
	f.t.Helper()
	at := fmt.Sprintf("%d/", pid)
	f.write(at+"stat", fmt.Sprintf("%d (%s) S 1 1 1 0 -1 %d 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, comm, flags, start/(10*time.Millisecond)))
	f.write(at+"comm", comm+"\n")
	f.write(at+"status", fmt.Sprintf("Name:\tx\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGroups:\t \nNSpid:\t%[2]d\t1\nCapEff:\t0\n", uid, pid))
	f.write(at+"cgroup", "0::/system.slice/docker-"+strings.Repeat("ab", 32)+".scope\n")
	f.write(at+"maps", maps)
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(f.root, at), uid, uid); err != nil {
			f.t.Fatal(err)
		}
	}
	f.link(at+"ns/ipc", fmt.Sprintf("ipc:[%d]", namespace))
	f.link(at+"exe", "/bin/true")
	f.write(fmt.Sprintf("%d/task/%d/syscall", pid, pid), "running\n")
}

func mapsLine(id int, key sysv.Key, perms string) string {
	return fmt.Sprintf("7f0000000000-7f0000001000 %s 00000000 00:01 %d /SYSV%08x (deleted)\n", perms, id, uint32(key))
}

func TestFakeProc(t *testing.T) {
	seg := createSegment(t, 0x301, 4096, 0o600)
	other := createSegment(t, sysv.Private, 4096, 0o600)
	f := newFakeProc(t, time.Now().Add(-time.Hour))
	both := mapsLine(int(seg), 0x301, "r--s") + mapsLine(int(other), 0, "rw-s")
	f.process(10, "a) S 9 (b\nc", 1000, 0, time.Minute, fakeNamespace, "1-2 r--p 0 0:1 5 /lib/x\n"+both+mapsLine(int(seg), 0x301, "r--s")+mapsLine(int(other), 0, "r--s"))
	f.process(20, "elsewhere", 0, 0, time.Minute, fakeNamespace+1, both)
	f.process(30, "kworker", 0, 0x200000, time.Minute, fakeNamespace, "")
	if err := os.Remove(filepath.Join(f.root, "30/exe")); err != nil {
		t.Fatal(err)
	}
	f.process(40, "wrong key", 0, 0, time.Minute, fakeNamespace, mapsLine(int(seg), 0x302, "r--s")+mapsLine(12345, 0, "r--s"))
	f.write("50/nothing", "") // one that can't be read, though it is there
	// Only attachments that the kernel counts are looked for. It counts one of seg that no
	// process here has.
	for _, s := range []sysv.Segment{seg, seg, seg, other, other} {
		mem, err := s.Attach(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Detach()
	}

	inv := collectAll(t, Options{Want: WantAttached | WantVerdict | WantContainers, Proc: f.root})
	if h := inv.Hidden; inv.Namespace != fakeNamespace || h.Unlisted || len(h.Processes) != 1 || h.Processes[0].PID != 50 {
		t.Errorf("namespace %d, hidden %+v", inv.Namespace, inv.Hidden)
	}
	o := find(t, inv, ref.Shm, int(seg))
	if len(o.Use.Attached) != 1 || o.Use.HiddenAttachments != 1 {
		t.Fatal(dump(o))
	}
	a := o.Use.Attached[0]
	if a.PID != 10 || a.Comm != "a) S 9 (b\nc" || a.UID != 1000 || !a.ReadOnly || a.Mappings != 2 || a.InnerPID != 1 || a.Container.Runtime != "docker" {
		t.Error(dump(a))
	}
	if o := find(t, inv, ref.Shm, int(other)); len(o.Use.Attached) != 1 || o.Use.Attached[0].ReadOnly {
		t.Error(dump(o))
	}
}

// TestReuse: what a process that has the id of an object's maker shows about the object.
func TestReuse(t *testing.T) {
	seg := createSegment(t, sysv.Private, 4096, 0o600)
	info, err := seg.Stat()
	if err != nil {
		t.Fatal(err)
	}
	boot := time.Now().Add(-time.Hour)
	age := info.CTime.Sub(boot)
	const mine, theirs = 0, 1234
	tests := []struct {
		name    string
		boot    time.Time
		uid     int
		flags   int
		start   time.Duration
		state   State
		verdict Verdict
	}{
		{"the maker", boot, mine, 0, time.Minute, Alive, Idle},
		{"in the same second", boot, mine, 0, age, Alive, Idle},
		{"another one", boot, mine, 0, age + 10*time.Second, Reused, Orphan},
		{"a kernel thread", boot, mine, 0x200000, time.Minute, Reused, Orphan},
		{"one that has ended", boot, mine, 0x4, time.Minute, Gone, Orphan},
		// The clock was set forward by two hours: the object looks older than the boot.
		{"the maker, when the clock was set", boot.Add(2 * time.Hour), mine, 0, time.Minute, Unseen, Unknown},
		{"another user's, when the clock was set", boot.Add(2 * time.Hour), theirs, 0, time.Minute, Reused, Orphan},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeProc(t, tt.boot)
			f.process(info.CPID, "who", tt.uid, tt.flags, tt.start, fakeNamespace, "")
			inv := collectAll(t, Options{Want: WantVerdict, Proc: f.root})
			o := find(t, inv, ref.Shm, int(seg))
			if got := o.Use.Actors[0]; got.State != tt.state || got.Role != Creator || o.Use.Verdict != tt.verdict {
				t.Errorf("%v, want %v; %s", o.Use.Verdict, tt.verdict, dump(o.Use))
			}
		})
	}
	t.Run("a younger one, when the clock was set", func(t *testing.T) {
		f := newFakeProc(t, boot.Add(2*time.Hour))
		f.process(4242, "who", mine, 0, age+10*time.Minute, fakeNamespace, "")
		o := find(t, collectAll(t, Options{Want: WantVerdict, Proc: f.root}), ref.Shm, int(seg))
		wantVerdict(t, o, Unknown, "not-attached process-gone owner-alive age")
		if text := o.Use.Reasons[2].Text; !strings.HasSuffix(text, "the clock of the machine was set") {
			t.Error(text)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		inv := collectAll(t, Options{Want: WantVerdict, Proc: newFakeProc(t, boot).root})
		wantVerdict(t, find(t, inv, ref.Shm, int(seg)), Orphan, "not-attached process-gone age")
	})
}

// TestThreadsRunOn: the first thread has ended, but others still use what the process has.
func TestThreadsRunOn(t *testing.T) {
	seg := createSegment(t, sysv.Private, 4096, 0o600)
	program := ipctest.Run(t, ipctest.Compile(t, "testdata/leaderless.c", "-pthread"), words([]any{int(seg)})...)
	program.Line()
	o := Options{Want: WantAttached | WantVerdict}
	await(t, o, func(*Inventory) bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", program.PID()))
		return err == nil && strings.Contains(string(b), ") Z ")
	})
	inv := collectAll(t, o)
	got := find(t, inv, ref.Shm, int(seg))
	if len(got.Use.Attached) != 1 || got.Use.Attached[0].PID != program.PID() || got.Use.HiddenAttachments != 0 {
		t.Error(dump(got))
	}
	wantVerdict(t, got, InUse, "attached process-alive process-alive age")
}
