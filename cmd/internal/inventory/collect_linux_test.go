package inventory

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestListing(t *testing.T) {
	seg := createSegment(t, 0x101, 5000, 0o640)
	set := createSet(t, 0x102, 0o600, 1, 2)
	queue := createQueue(t, 0x103, 0o660)
	// A plain listing must not need /proc.
	inv := collectAll(t, Options{Proc: "/nonexistent"})
	if len(inv.Objects) != 3 || inv.Namespace != 0 {
		t.Fatal(dump(inv))
	}
	for _, want := range []struct {
		kind ref.Kind
		id   int
		key  sysv.Key
	}{{ref.Shm, int(seg), 0x101}, {ref.Sem, int(set), 0x102}, {ref.Msg, int(queue), 0x103}} {
		o := find(t, inv, want.kind, want.id)
		if o.Perm().Key != want.key || o.Use != nil || o.Changed().IsZero() || !o.Used().IsZero() {
			t.Errorf("%+v: %s", want, dump(o))
		}
	}
	for _, kind := range []ref.Kind{ref.Shm, ref.Sem, ref.Msg} {
		inv := collectAll(t, Options{Kinds: []ref.Kind{kind}})
		if len(inv.Objects) != 1 || inv.Objects[0].Kind != kind {
			t.Errorf("%v: %s", kind, dump(inv))
		}
	}
}

func TestSemaphoresNeedNoProc(t *testing.T) {
	set := createSet(t, sysv.Private, 0o600, 1, 2)
	inv := collectAll(t, Options{Want: WantSemaphores, Proc: "/nonexistent"})
	want := []Semaphore{{Value: 1, PID: os.Getpid()}, {Value: 2, PID: os.Getpid()}}
	if got := find(t, inv, ref.Sem, int(set)).Use.Semaphores; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWithoutProc(t *testing.T) {
	seg := createSegment(t, sysv.Private, 4096, 0o600)
	queue := createQueue(t, sysv.Private, 0o600)
	inv, err := Collect(Options{Want: everything, Proc: "/nonexistent"})
	if err == nil || len(inv.Objects) != 2 {
		t.Fatalf("%v, %s", err, dump(inv))
	}
	wantVerdict(t, find(t, inv, ref.Shm, int(seg)), Unknown, "not-attached proc-unreadable age")
	wantVerdict(t, find(t, inv, ref.Msg, int(queue)), Unknown, "proc-unreadable age")
}

func TestAttached(t *testing.T) {
	shared := createSegment(t, 0x201, 3*int64(os.Getpagesize()), 0o600)
	private := createSegment(t, sysv.Private, 100, 0o600)
	reader := start(t, "attach", nil, "ro", int(shared), int(shared))
	writer := start(t, "attach", nil, "rw", int(shared), int(private))
	split := ipctest.Run(t, ipctest.Compile(t, "testdata/split.c"), words([]any{int(shared)})...)
	split.Line()
	// Two processes of other namespaces: one has a segment of the same id there, the other
	// has kept what it attached here.
	apart := startApart(t, "make", []string{"unshare", "-i"})
	if ids := apart.Line(); !strings.HasPrefix(ids, "0 ") {
		t.Fatalf("ids %s", ids)
	}
	moved := ipctest.Run(t, ipctest.Compile(t, "testdata/moved.c"), words([]any{int(private)})...)
	moved.Line()

	inv := collectAll(t, Options{Want: WantAttached})
	type attacher struct {
		PID      int
		Comm     string
		UID      uint32
		ReadOnly bool
		Mappings int
	}
	seen := func(o *Object) (list []attacher) {
		for _, a := range o.Use.Attached {
			list = append(list, attacher{a.PID, a.Comm, a.UID, a.ReadOnly, a.Mappings})
		}
		return list
	}
	comm := find(t, inv, ref.Shm, int(shared)).Use.Attached[0].Comm
	want := []attacher{
		{reader.PID(), comm, 0, true, 2},
		{writer.PID(), comm, 0, false, 1},
		{split.PID(), "split", 0, false, 3},
	}
	o := find(t, inv, ref.Shm, int(shared))
	if diff := cmp.Diff(want, seen(o)); diff != "" || o.Use.HiddenAttachments != 0 {
		t.Errorf("%d hidden; -want +got:\n%s", o.Use.HiddenAttachments, diff)
	}
	// One process of another namespace is attached, which the kernel counts.
	o = find(t, inv, ref.Shm, int(private))
	want = []attacher{{writer.PID(), comm, 0, false, 1}}
	if diff := cmp.Diff(want, seen(o)); diff != "" || o.Use.HiddenAttachments != 1 {
		t.Errorf("%d hidden; -want +got:\n%s", o.Use.HiddenAttachments, diff)
	}
	moved.End()
	apart.Tell("remove nothing: the namespace goes with the process")
	writer.Kill()
	inv = collectAll(t, Options{Want: WantAttached})
	if o := find(t, inv, ref.Shm, int(private)); len(o.Use.Attached) != 0 || o.Use.HiddenAttachments != 0 {
		t.Error(dump(o))
	}
}

// TestAttachedRemoved: a segment that was removed has lost its key, but its users
// are found.
func TestAttachedRemoved(t *testing.T) {
	seg := createSegment(t, 0x202, 4096, 0o600)
	user := start(t, "attach", nil, "rw", int(seg))
	remove(t, seg)
	inv := collectAll(t, Options{Want: WantAttached | WantVerdict})
	o := find(t, inv, ref.Shm, int(seg))
	if len(o.Use.Attached) != 1 || o.Use.Attached[0].PID != user.PID() || !o.Segment.Dest || o.Perm().Key != sysv.Private {
		t.Error(dump(o))
	}
	wantVerdict(t, o, InUse, "marked attached process-alive process-alive age")
}

// TestLookalike: a file that looks like a segment in every way except its device is not
// taken for one.
func TestLookalike(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	var seg sysv.Segment
	for seg < 2 { // the number of the first file of a file system
		seg = createSegment(t, sysv.Private, 4096, 0o600)
		if seg > 2 {
			t.Skip("segment 2 is gone")
		}
	}
	program := ipctest.Compile(t, "testdata/lookalike.c")
	p := ipctest.Run(t, program, t.TempDir(), "2")
	p.Line()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID()))
	if err != nil || !strings.Contains(string(maps), " 2                          /SYSV00000000 (deleted)\n") {
		t.Fatalf("it does not look like one: %v\n%s", err, maps)
	}
	o := find(t, collectAll(t, Options{Want: WantAttached}), ref.Shm, int(seg))
	if len(o.Use.Attached) != 0 {
		t.Error(dump(o))
	}
}

func TestMemory(t *testing.T) {
	seg := createSegment(t, sysv.Private, 5*int64(os.Getpagesize()), 0o600)
	mem, err := seg.Attach(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Detach()
	mem.Bytes()[0] = 1
	mem.Bytes()[4*os.Getpagesize()] = 1
	m := find(t, collectAll(t, Options{Want: WantMemory}), ref.Shm, int(seg)).Use.Memory
	if m == nil || m.Resident+m.Swapped != 2*uint64(os.Getpagesize()) || m.Size != 5*uint64(os.Getpagesize()) {
		t.Errorf("%+v, want two pages", m)
	}
}

func TestWaitingOnSet(t *testing.T) {
	set := createSet(t, sysv.Private, 0o600, 0, 1, 0)
	if err := set.SetValue(1, 1); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	tests := []struct {
		args    []any
		ops     []sysv.Op
		blocked int
		timed   bool
	}{
		{[]any{int(set), 0, 0, -1, 1}, []sysv.Op{{Num: 0, Add: -1, Undo: true}}, 0, false},
		{[]any{int(set), 3600, 2, -5, 0}, []sysv.Op{{Num: 2, Add: -5}}, 0, true},
		{[]any{int(set), 0, 1, 0, 0}, []sysv.Op{{Num: 1}}, 0, false},
		{
			[]any{int(set), 3600, 1, -1, 1, 0, 1, 0, 0, -2, 0},
			[]sysv.Op{{Num: 1, Add: -1, Undo: true}, {Num: 0, Add: 1}, {Num: 0, Add: -2}},
			2, true,
		},
	}
	pids := make([]int, len(tests))
	for i, tt := range tests {
		pids[i] = start(t, "operate", nil, tt.args...).PID()
	}
	inv := await(t, Options{Want: WantWaiting | WantVerdict}, waiting(ref.Sem, int(set), len(tests)))
	o := find(t, inv, ref.Sem, int(set))
	for i, tt := range tests {
		at := slices.IndexFunc(o.Use.Waiting, func(w Waiter) bool { return w.PID == pids[i] })
		if at < 0 {
			t.Fatalf("%v is not found: %s", tt.args, dump(o.Use.Waiting))
		}
		w := o.Use.Waiting[at]
		if !slices.Equal(w.Ops, tt.ops) || w.Blocked != tt.blocked || w.Timed != tt.timed || w.TID == 0 || w.UID != 0 {
			t.Errorf("%v: %s", tt.args, dump(w))
		}
		if w.Holder == nil || w.Holder.PID != os.Getpid() || w.Holder.State != Alive {
			t.Errorf("%v: holder %s, want this process", tt.args, dump(w.Holder))
		}
		if early, late := w.Since.Sub(began) < -time.Second, time.Since(w.Since) < -time.Second; early || late {
			t.Errorf("%v: asleep since %v, begun %v, now %v", tt.args, w.Since, began, time.Now())
		}
	}
	wantVerdict(t, o, InUse, "waiting process-alive age")
	if len(inv.Deadlocks) != 0 || o.Use.HiddenWaiters != 0 {
		t.Error(dump(inv))
	}
}

func TestWaitingOnQueue(t *testing.T) {
	empty, full := createQueue(t, sysv.Private, 0o600), createQueue(t, sysv.Private, 0o600)
	info, err := full.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := full.SetOwnership(info.Ownership(), 8000); err != nil {
		t.Fatal(err)
	}
	if sent, err := full.TrySend(1, []byte("first")); !sent || err != nil {
		t.Fatal(sent, err)
	}
	start(t, "receive", nil, int(empty), 50, -7, 0)
	start(t, "receive", nil, int(empty), 60, 4, 1)
	start(t, "send", nil, int(full), 9, 8000)
	inv := await(t, Options{Want: WantWaiting | WantVerdict}, func(inv *Inventory) bool {
		return waiting(ref.Msg, int(empty), 2)(inv) && waiting(ref.Msg, int(full), 1)(inv)
	})
	type wait struct {
		Sending bool
		Size    int
		Type    int64
		Known   bool
		Except  bool
	}
	var got []wait
	reasons := map[sysv.Queue]string{empty: "waiting never-used age", full: "waiting process-alive age"}
	for _, id := range []sysv.Queue{empty, full} {
		o := find(t, inv, ref.Msg, int(id))
		wantVerdict(t, o, InUse, reasons[id])
		waits := slices.Clone(o.Use.Waiting)
		slices.SortFunc(waits, func(a, b Waiter) int { return a.Size - b.Size })
		for _, w := range waits {
			got = append(got, wait{w.Sending, w.Size, w.Type, w.TypeKnown, w.Except})
		}
	}
	want := []wait{{false, 50, -7, true, false}, {false, 60, 4, true, true}, {true, 8000, 9, true, false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWaiting32 looks at the waits of 32-bit programs, whose system calls have
// other numbers and other ways to pass arguments.
func TestWaiting32(t *testing.T) {
	ipctest.Need32(t)
	program := filepath.Join(t.TempDir(), "wait32")
	build := exec.Command("go", "build", "-o", program, "./testdata/wait32")
	build.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("can't build for 386: %v\n%s", err, out)
	}
	set := createSet(t, sysv.Private, 0o600, 1, 0)
	empty, full := createQueue(t, sysv.Private, 0o600), createQueue(t, sysv.Private, 0o600)
	info, err := full.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := full.SetOwnership(info.Ownership(), 40); err != nil {
		t.Fatal(err)
	}
	if ok, err := full.TrySend(1, make([]byte, 30)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, w := range []struct {
		call string
		id   int
	}{{"semop", int(set)}, {"semtimedop", int(set)}, {"msgrcv", int(empty)}, {"msgsnd", int(full)}} {
		p := ipctest.Run(t, program, words([]any{w.call, w.id})...)
		p.Line()
	}
	inv := await(t, Options{Want: WantWaiting}, func(inv *Inventory) bool {
		return waiting(ref.Sem, int(set), 2)(inv) && waiting(ref.Msg, int(empty), 1)(inv) && waiting(ref.Msg, int(full), 1)(inv)
	})
	waits := find(t, inv, ref.Sem, int(set)).Use.Waiting
	slices.SortFunc(waits, func(a, b Waiter) int { return len(b.Ops) - len(a.Ops) })
	if w := waits[0]; !slices.Equal(w.Ops, []sysv.Op{{Num: 1, Add: 1}, {Num: 0, Add: -3, Undo: true}}) || w.Blocked != 1 || w.Timed {
		t.Errorf("semop: %s", dump(w))
	}
	if w := waits[1]; !slices.Equal(w.Ops, []sysv.Op{{Num: 1, Add: -2}}) || w.Blocked != 0 || !w.Timed {
		t.Errorf("semtimedop: %s", dump(w))
	}
	if w := find(t, inv, ref.Msg, int(empty)).Use.Waiting[0]; w.Sending || w.Size != 77 || w.Type != -9 || !w.TypeKnown {
		t.Errorf("msgrcv: %s", dump(w))
	}
	if w := find(t, inv, ref.Msg, int(full)).Use.Waiting[0]; !w.Sending || w.Size != 30 || w.Type != 12 || !w.TypeKnown {
		t.Errorf("msgsnd: %s", dump(w))
	}
}

func TestDeadlock(t *testing.T) {
	set := createSet(t, sysv.Private, 0o600, 1, 1, 1)
	a := start(t, "lock two", nil, int(set), 0, int(set), 1)
	b := start(t, "lock two", nil, int(set), 1, int(set), 0)
	a.Tell("go on")
	inv := await(t, Options{Want: WantWaiting}, waiting(ref.Sem, int(set), 1))
	if len(inv.Deadlocks) != 0 {
		t.Errorf("one waits for a holder that sleeps: %s", dump(inv.Deadlocks))
	}
	w := find(t, inv, ref.Sem, int(set)).Use.Waiting[0]
	if w.PID != a.PID() || w.Holder == nil || w.Holder.PID != b.PID() || w.Holder.Process.Comm != w.Comm {
		t.Errorf("waiter and likely holder: %s", dump(w))
	}

	b.Tell("go on")
	inv = await(t, Options{Want: WantWaiting}, waiting(ref.Sem, int(set), 2))
	want := []Deadlock{{Waits: []Wait{
		{PID: a.PID(), Set: int(set), Semaphore: 1, HolderPID: b.PID()},
		{PID: b.PID(), Set: int(set), Semaphore: 0, HolderPID: a.PID()},
	}}}
	if b.PID() < a.PID() {
		slices.Reverse(want[0].Waits)
	}
	got := inv.Deadlocks
	for i := range got {
		for j := range got[i].Waits {
			got[i].Waits[j].TID, got[i].Waits[j].Comm = 0, ""
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestVerdicts follows objects while their maker lives, and after it has ended.
func TestVerdicts(t *testing.T) {
	maker := ipctest.Start(t, "make", nil)
	ids := numbers(strings.Fields(maker.Line()))
	seg, set, queue := sysv.Segment(ids[0]), sysv.Set(ids[1]), sysv.Queue(ids[2])
	t.Cleanup(func() { remove(t, seg); remove(t, set); remove(t, queue) })

	// On some machines, not even root may inspect every process.
	o := Options{Want: WantVerdict, HiddenIdle: true}
	inv := collectAll(t, o)
	wantVerdict(t, find(t, inv, ref.Shm, int(seg)), Idle, "not-attached process-alive age")
	wantVerdict(t, find(t, inv, ref.Sem, int(set)), Idle, "not-waiting process-alive age")
	wantVerdict(t, find(t, inv, ref.Msg, int(queue)), Idle, "process-alive age")

	maker.Tell("end")
	maker.Wait()
	inv = collectAll(t, o)
	wantVerdict(t, find(t, inv, ref.Shm, int(seg)), Orphan, "not-attached process-gone age")
	wantVerdict(t, find(t, inv, ref.Sem, int(set)), Orphan, "not-waiting process-gone age")
	wantVerdict(t, find(t, inv, ref.Msg, int(queue)), Unknown, "process-gone messages age")
	o.WithMessages = true
	inv = collectAll(t, o)
	wantVerdict(t, find(t, inv, ref.Msg, int(queue)), Orphan, "process-gone not-waiting age")

	// Another process uses them: it is attached at first, and later no longer.
	user := start(t, "attach", nil, "ro", int(seg))
	if _, _, _, err := queue.TryReceive(make([]byte, 100), sysv.ReceiveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := set.TryDo(sysv.Op{Num: 0, Add: -1}); err != nil {
		t.Fatal(err)
	}
	inv = collectAll(t, o)
	wantVerdict(t, find(t, inv, ref.Shm, int(seg)), InUse, "attached process-gone process-alive age")
	wantVerdict(t, find(t, inv, ref.Sem, int(set)), Idle, "not-waiting process-alive process-gone age")
	wantVerdict(t, find(t, inv, ref.Msg, int(queue)), Idle, "process-gone process-alive age")
	user.Kill()
	inv = collectAll(t, o)
	wantVerdict(t, find(t, inv, ref.Shm, int(seg)), Unknown, "not-attached process-gone process-gone family-alive age")

	// A queue that was never used names no process.
	unused := createQueue(t, sysv.Private, 0o600)
	inv = collectAll(t, o)
	wantVerdict(t, find(t, inv, ref.Msg, int(unused)), Unknown, "never-used age")
}

// TestZombie: a process that has ended counts as gone even before its parent has noticed.
func TestZombie(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	maker := ipctest.Start(t, "make", nil)
	ids := numbers(strings.Fields(maker.Line()))
	maker.Kill()
	seg := sysv.Segment(ids[0])
	t.Cleanup(func() { remove(t, seg); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })

	// A child that attaches, detaches by its end, and is not waited for.
	child := exec.Command(exe, "ro", words([]any{int(seg)})[0])
	child.Env = append(os.Environ(), "GIPC_TEST_ROLE=attach")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	await(t, Options{Want: WantAttached}, func(inv *Inventory) bool { return len(inv.find(ref.Shm, int(seg)).Use.Attached) == 1 })
	in.Close()
	inv := await(t, Options{Want: WantAttached | WantVerdict}, func(inv *Inventory) bool {
		return inv.find(ref.Shm, int(seg)).Segment.NAttch == 0
	})
	inv = await(t, Options{Want: WantVerdict}, func(i *Inventory) bool { inv = i; return inv.find(ref.Shm, int(seg)).Use.Verdict == Orphan })
	wantVerdict(t, find(t, inv, ref.Shm, int(seg)), Orphan, "not-attached process-gone process-gone age")
}

func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	secret := createSegment(t, sysv.Private, 4096, 0o600)
	public := createSegment(t, sysv.Private, 4096, 0o666)
	set := createSet(t, sysv.Private, 0o600, 0)
	open := createSet(t, sysv.Private, 0o666, 0)
	queue := createQueue(t, sysv.Private, 0o666)
	start(t, "attach", nil, "rw", int(public), int(secret))
	other := start(t, "attach", nobody, "ro", int(public))
	start(t, "operate", nil, int(open), 0, 0, -1, 0)
	theirs := start(t, "operate", nobody, int(open), 0, 0, -2, 0)
	start(t, "receive", nobody, int(queue), 10, 0, 0)
	await(t, Options{Want: WantWaiting}, func(inv *Inventory) bool {
		return waiting(ref.Sem, int(open), 2)(inv) && waiting(ref.Msg, int(queue), 1)(inv)
	})

	viewer := ipctest.Start(t, "view", nobody)
	inv := parseView(t, viewer.Wait())
	if len(inv.Objects) != 5 || !inv.Hidden.Whole() {
		t.Fatalf("root's processes must be counted as hidden, and all objects be seen: %s", dump(inv))
	}
	o := find(t, inv, ref.Shm, int(public))
	if len(o.Use.Attached) != 1 || o.Use.Attached[0].PID != other.PID() || o.Use.Attached[0].UID != nobody.Uid || o.Use.HiddenAttachments != 1 {
		t.Error(dump(o))
	}
	wantVerdict(t, o, InUse, "attached process-alive process-alive age")
	o = find(t, inv, ref.Shm, int(secret))
	if len(o.Use.Attached) != 0 || o.Use.HiddenAttachments != 1 {
		t.Error(dump(o))
	}
	o = find(t, inv, ref.Sem, int(open))
	if len(o.Use.Waiting) != 1 || o.Use.Waiting[0].PID != theirs.PID() || o.Use.HiddenWaiters != 1 || o.Use.Waiting[0].Ops == nil {
		t.Error(dump(o))
	}
	o = find(t, inv, ref.Sem, int(set))
	if o.Use.Semaphores != nil {
		t.Error(dump(o))
	}
	wantVerdict(t, o, Unknown, "not-readable age")
	wantVerdict(t, find(t, inv, ref.Msg, int(queue)), InUse, "waiting never-used age")
}

// TestQueueWithHiddenProcesses: unless every process may be inspected, it can't be known
// whether any of them waits on a queue.
func TestQueueWithHiddenProcesses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	maker := ipctest.Start(t, "make", nobody)
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	maker.Tell("end")
	maker.Wait()
	start(t, "attach", nil, "ro") // a process of root's in this namespace
	viewer := ipctest.Start(t, "view", nobody)
	inv := parseView(t, viewer.Wait())
	wantVerdict(t, find(t, inv, ref.Shm, ids[0]), Orphan, "not-attached process-gone age")
	wantVerdict(t, find(t, inv, ref.Sem, ids[1]), Orphan, "not-waiting process-gone age")
	wantVerdict(t, find(t, inv, ref.Msg, ids[2]), Unknown, "process-gone messages process-hidden age")
}

// TestOtherPIDNamespace: in a pid namespace where the processes of the objects have no ids,
// nothing may look like an orphan.
func TestOtherPIDNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	maker := ipctest.Start(t, "make", nil)
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })

	viewer := startApart(t, "view", []string{"unshare", "-fp", "--mount-proc"})
	inv := parseView(t, viewer.Wait())
	wantVerdict(t, find(t, inv, ref.Shm, ids[0]), Unknown, "not-attached process-unseen age")
	wantVerdict(t, find(t, inv, ref.Sem, ids[1]), Unknown, "not-waiting process-unseen age")
	wantVerdict(t, find(t, inv, ref.Msg, ids[2]), Unknown, "process-unseen age")

	// With the /proc of the outer namespace, ids of one namespace would be looked up in the
	// other.
	viewer = startApart(t, "view", []string{"unshare", "-fp"})
	inv = parseView(t, viewer.Wait())
	wantVerdict(t, find(t, inv, ref.Shm, ids[0]), Unknown, "not-attached proc-unreadable age")
}
