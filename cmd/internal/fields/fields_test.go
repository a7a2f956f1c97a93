package fields

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

var taken = time.Unix(1_800_000_000, 0)

func process(pid int, container string) *inventory.Process {
	return &inventory.Process{PID: pid, Comm: "p", Container: procfs.Container{
		Runtime: "docker", ID: container, Unit: container + ".service", Job: procfs.Job{Manager: "slurm", ID: container},
	}}
}

func sample() *inventory.Inventory {
	return &inventory.Inventory{Taken: taken, Objects: []inventory.Object{
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{
			ID: 1, Perm: sysv.Perm{Key: 0x4e545030, UID: 54321, Mode: 0o600}, Size: 4096, NAttch: 2, CPID: 4, LPID: 5,
			CTime: taken.Add(-time.Hour), ATime: taken.Add(-time.Minute), DTime: taken.Add(-time.Minute), Dest: true, Locked: true,
		}, Use: &inventory.Use{
			Memory:   &procfs.SegmentMemory{Resident: 4096},
			Attached: []inventory.Attacher{{Process: process(9, "b")}, {Process: process(8, "a")}},
			Actors:   []inventory.Actor{{Role: inventory.Creator, State: inventory.Alive, Process: process(8, "a")}, {Role: inventory.User, State: inventory.Gone}},
			Verdict:  inventory.InUse, Reasons: []inventory.Reason{{Text: "one"}, {Text: "two"}}, Program: &inventory.Program{Name: "PostgreSQL"},
		}},
		{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 2, NSems: 2, CTime: taken.Add(-2 * time.Hour), OTime: taken.Add(-time.Hour)}, Use: &inventory.Use{
			Semaphores: []inventory.Semaphore{{NCount: 1}, {ZCount: 2}}, Verdict: inventory.Orphan, OwnerGone: inventory.Yes,
			Waiting: []inventory.Waiter{{Process: process(7, "c"), TID: 7}, {Process: process(7, "c"), TID: 8}},
		}},
		{Kind: ref.Msg, Queue: &sysv.QueueInfo{
			ID: 3, QBytes: 10, LSPID: 1, LRPID: 2, STime: taken, RTime: taken, CTime: taken.Add(time.Hour),
		}, Use: &inventory.Use{}},
		{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 4, CTime: taken}},
	}}
}

// samplePOSIX returns a POSIX object of each kind in use, and some that may not be
// read.
func samplePOSIX() *inventory.Inventory {
	file := func(name string, size int64) posix.FileInfo {
		return posix.FileInfo{Name: name, UID: 54321, GID: 54321, Mode: 0o640, Size: size, Memory: 4096, Ino: 7, ATime: taken, MTime: taken.Add(-time.Minute), CTime: taken.Add(-time.Hour)}
	}
	memory := file("/m", 10000)
	return &inventory.Inventory{Taken: taken, Objects: []inventory.Object{
		{Kind: ref.PShm, PShm: &memory, Use: &inventory.Use{
			Mapped: []inventory.Mapper{{Process: process(9, "b")}, {Process: process(8, "a")}}, Open: []inventory.Opener{{Process: process(8, "a")}},
			Verdict: inventory.InUse,
		}},
		{Kind: ref.PSem, PSem: &posix.SemaphoreInfo{FileInfo: file("/s", 32), Known: true, Value: 3, Waiters: 2}, Use: &inventory.Use{Verdict: inventory.Orphan}},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{
			FileInfo: file("/q", 80), Known: true, Attributes: posix.Attributes{MaxMsgs: 5, MsgSize: 6, CurMsgs: 1}, Bytes: 4, NotifyPID: 8,
		}, Use: &inventory.Use{}},
		{Kind: ref.PSem, PSem: &posix.SemaphoreInfo{FileInfo: file("/closed", 32)}},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{FileInfo: file("/closed", 80)}, Use: &inventory.Use{}},
	}}
}

// show returns a column as text output shows it.
func show(t *testing.T, inv *inventory.Inventory, name string) string {
	t.Helper()
	list, err := Choose(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := render.Write(&b, render.Plain, list.Columns(), list.Rows(inv, account.New()), render.Options{NoHeadings: true}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestUseColumns(t *testing.T) {
	for _, tt := range []struct{ column, want string }{
		{"attached", "2 - - -"},
		{"waiting", "- 3 0 -"},
		{"pids", "8,9 7 - -"},
		{"verdict", "in use orphan unknown unknown"},
		{"reasons", "one,two - - -"},
		{"program", "PostgreSQL - - -"},
		{"container", "docker:a,docker:b docker:c - -"},
		{"unit", "a.service,b.service c.service - -"},
		{"job", "slurm:a,slurm:b slurm:c - -"},
		{"idle", "0s 1h 0s 0s"},
		{"status", "dest,locked - - -"},
		{"keytext", "NTP0 - - -"},
	} {
		if got := show(t, sample(), tt.column); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.column, got, tt.want)
		}
	}
}

func TestPOSIXColumns(t *testing.T) {
	for _, tt := range []struct{ column, want string }{
		{"kind", "pshm psem pmsg psem pmsg"},
		{"id", "- - - - -"},
		{"key", "- - - - -"},
		{"name", "/m /s /q /closed /closed"},
		{"owner", "54321 54321 54321 54321 54321"},
		{"mode", "0640 0640 0640 0640 0640"},
		{"size", "10000 - 4 - -"},
		{"memory", "4096 - - - -"},
		{"value", "- 3 - - -"},
		{"waiting", "- 2 - - -"},
		{"messages", "- - 1 - -"},
		{"maxmsgs", "- - 5 - -"},
		{"notify", "- - 8 - -"},
		{"attached", "2 0 - - -"},
		{"open", "1 0 0 - 0"},
		{"pids", "8,9 - - - -"},
		{"container", "docker:a,docker:b - - - -"},
		{"unit", "a.service,b.service - - - -"},
		{"job", "slurm:a,slurm:b - - - -"},
		{"age", "1h 1h 1m 1h 1m"}, // reading a queue changes its ctime
		{"idle", "- - 1m - 1m"},
		{"creator", "- - - - -"},
		{"lastuser", "- - - - -"},
		{"cuid", "- - - - -"},
	} {
		if got := show(t, samplePOSIX(), tt.column); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.column, got, tt.want)
		}
	}
	unseen := samplePOSIX()
	unseen.Hidden.Unlisted = true
	for _, column := range []string{"attached", "open"} {
		if got := show(t, unseen, column); got != "- - - - -" {
			t.Errorf("%s, where processes are hidden: %s", column, got)
		}
	}
}

func TestFamilies(t *testing.T) {
	both := append(sample().Objects, samplePOSIX().Objects...)
	for _, tt := range []struct {
		objects []inventory.Object
		want    []ref.Kind
	}{
		{nil, ref.SystemV()},
		{sample().Objects, ref.SystemV()},
		{samplePOSIX().Objects, ref.POSIX()},
		{both, ref.Kinds()},
	} {
		if got := Families(tt.objects); !slices.Equal(got, tt.want) {
			t.Errorf("Families = %v, want %v", got, tt.want)
		}
	}
}

// TestValues checks that the values of all fields have the declared types.
func TestValues(t *testing.T) {
	types := map[Type]reflect.Type{
		Text: reflect.TypeFor[string](), Number: reflect.TypeFor[int64](), Time: reflect.TypeFor[time.Time](),
		Duration: reflect.TypeFor[time.Duration](), Condition: reflect.TypeFor[bool](),
		Texts: reflect.TypeFor[[]string](), Numbers: reflect.TypeFor[[]int64](),
	}
	inv := sample()
	inv.Objects = append(inv.Objects, samplePOSIX().Objects...)
	for _, f := range Fields() {
		known := 0
		for i := range inv.Objects {
			v := f.Value(&Row{Object: &inv.Objects[i], Inventory: inv, Names: account.New()})
			if v == nil {
				continue
			}
			known++
			if got := reflect.TypeOf(v); got != types[f.Type] {
				t.Errorf("%s is %v, want %v for a %v", f.Name, got, types[f.Type], f.Type)
			}
		}
		if known == 0 && f.Name != "lastuser" {
			t.Errorf("no object has %s", f.Name)
		}
		if f.About == "" {
			t.Errorf("%s is not described", f.Name)
		}
	}
}

func TestFieldValues(t *testing.T) {
	inv := sample()
	inv.Hidden.Processes = []inventory.HiddenProcess{{Process: &inventory.Process{PID: 9}, Threads: 1}}
	for _, tt := range []struct {
		field string
		want  string // for each object
	}{
		{"id", "1 2 3 4"},
		{"key", "1314148400 0 0 0"},
		{"mode", "384 0 0 0"},
		{"owner", "54321 root root root"},
		{"age", "1h0m0s 2h0m0s 0s 0s"},
		{"idle", "0s 1h0m0s 0s 0s"},
		{"dest", "true <nil> <nil> <nil>"},
		{"in_use", "true false <nil> <nil>"},
		{"orphan", "false true <nil> <nil>"},
		{"unused", "false false <nil> <nil>"},
		{"owner_gone", "<nil> true <nil> <nil>"},
		{"waiting", "<nil> 3 <nil> <nil>"},
		{"lpid", "5 <nil> <nil> <nil>"},
		{"lastuser", "gone <nil> <nil> <nil>"},
	} {
		wantValues(t, inv, tt.field, tt.want)
	}
	for _, tt := range []struct{ field, want string }{
		{"name", "/m /s /q /closed /closed"},
		{"id", "<nil> <nil> <nil> <nil> <nil>"},
		{"in_use", "true false <nil> <nil> <nil>"},
		{"unused", "false true false <nil> <nil>"},
		{"dest", "<nil> <nil> <nil> <nil> <nil>"},
	} {
		wantValues(t, samplePOSIX(), tt.field, tt.want)
	}
	inv = samplePOSIX()
	inv.Hidden.Unlisted = true
	wantValues(t, inv, "unused", "false false false <nil> <nil>") // the semaphore has waiters
}

// TestUnused: an object that a process may hold is not unused; if such a process could
// be hidden, the value is unknown.
func TestUnused(t *testing.T) {
	actor := func(states ...inventory.State) *inventory.Use {
		u := &inventory.Use{Semaphores: []inventory.Semaphore{{}}}
		for _, s := range states {
			u.Actors = append(u.Actors, inventory.Actor{State: s, Process: &inventory.Process{PID: 9}})
		}
		return u
	}
	waiter := actor()
	waiter.Waiting = []inventory.Waiter{{Process: &inventory.Process{PID: 9}}}
	segment := func(nattch uint64, u *inventory.Use) inventory.Object {
		return inventory.Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{NAttch: nattch}, Use: u}
	}
	set := func(u *inventory.Use) inventory.Object {
		return inventory.Object{Kind: ref.Sem, Set: &sysv.SetInfo{NSems: 1}, Use: u}
	}
	queue := func(messages uint64, u *inventory.Use) inventory.Object {
		return inventory.Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{QNum: messages}, Use: u}
	}
	pmsg := func(known bool, messages int) inventory.Object {
		return inventory.Object{Kind: ref.PMsg, PMsg: &posix.QueueInfo{Known: known, Attributes: posix.Attributes{CurMsgs: messages}}, Use: actor()}
	}
	const yes, no, unknown = "true", "false", "<nil>"
	gone, alive, unseen := inventory.Gone, inventory.Alive, inventory.Unseen
	for _, tt := range []struct {
		object  inventory.Object
		want    string
		hidden  string // with a hidden process
		ignored string // with the hidden process ignored
	}{
		{segment(0, actor(gone, inventory.None)), yes, yes, yes},
		{segment(1, actor(gone, gone)), no, no, no},
		{segment(0, actor(gone, alive)), no, no, no},
		{segment(0, actor(alive, inventory.Reused)), no, no, no},
		{segment(0, actor(unseen, gone)), unknown, unknown, yes},
		{set(actor(gone)), yes, yes, yes},
		{set(actor()), yes, yes, yes},
		{set(actor(gone, alive)), no, no, no},
		{set(actor(unseen, alive)), no, no, no},
		{set(actor(unseen)), unknown, unknown, yes},
		{set(&inventory.Use{Semaphores: []inventory.Semaphore{{NCount: 1}}}), no, no, no},
		{set(&inventory.Use{}), unknown, unknown, unknown}, // which the caller may not read
		{queue(0, actor(gone, gone)), yes, unknown, yes},
		{queue(1, actor(gone, gone)), no, no, no},
		{queue(0, actor(alive, gone)), no, no, no},
		{queue(0, waiter), no, no, no},
		{pmsg(true, 0), yes, unknown, yes},
		{pmsg(true, 1), no, no, no},
		{pmsg(false, 0), unknown, unknown, unknown},
	} {
		inv := &inventory.Inventory{Objects: []inventory.Object{tt.object}}
		wantValues(t, inv, "unused", tt.want)
		inv.Hidden.Processes = []inventory.HiddenProcess{{Process: &inventory.Process{PID: 9}}}
		wantValues(t, inv, "unused", tt.hidden)
		inv.HiddenIdle = true
		wantValues(t, inv, "unused", tt.ignored)
		inv.Hidden, inv.HiddenIdle, inv.Outside = inventory.Hidden{}, false, true
		wantValues(t, inv, "unused", tt.hidden)
	}
	full := &inventory.Inventory{Objects: []inventory.Object{queue(1, actor(gone)), pmsg(true, 1)}, WithMessages: true}
	wantValues(t, full, "unused", "true true")
}

// wantValues checks the value of a field for each object.
func wantValues(t *testing.T, inv *inventory.Inventory, field, want string) {
	t.Helper()
	f, err := Fields().find(field)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range inv.Objects {
		got = append(got, fmt.Sprint(f.Value(&Row{Object: &inv.Objects[i], Inventory: inv, Names: account.New()})))
	}
	if strings.Join(got, " ") != want {
		t.Errorf("%s: %v, want %s", field, got, want)
	}
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct{ order, want string }{
		{"-id", "[4 3 2 1]"},
		{"kind,-id", "[3 4 2 1]"},
		{"-waiting", "[2 3 1 4]"}, // unknown values come last
		{"-idle,id", "[2 1 3 4]"},
	} {
		inv := sample()
		order, err := ParseOrder(tt.order)
		if err != nil {
			t.Fatal(err)
		}
		order.Sort(inv, account.New())
		var got []int
		for i := range inv.Objects {
			got = append(got, inv.Objects[i].ID())
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("by %s: %v, want %s", tt.order, got, tt.want)
		}
	}
}

func TestChoose(t *testing.T) {
	standard := Default([]ref.Kind{ref.Msg}, false)
	names := func(l List) (names []string) {
		for _, c := range l {
			names = append(names, c.Name)
		}
		return names
	}
	for _, tt := range []struct{ text, want, err string }{
		{"id,KEY,id", "id key", ""},
		{"+id,verdict", strings.Join(names(standard), " ") + " verdict", ""},
		{"", "", `there is no column ""; the columns are kind id`},
		{"id,", "", `there is no column ""`},
		{"orphan", "", `there is no column "orphan"`},
	} {
		list, err := Choose(tt.text, standard)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %s", tt.text, err, tt.err)
			}
			continue
		}
		if got := strings.Join(names(list), " "); err != nil || got != tt.want {
			t.Errorf("%q: %s, %v; want %s", tt.text, got, err, tt.want)
		}
	}
	for _, c := range Default([]ref.Kind{ref.Shm, ref.Sem, ref.Msg}, true) {
		if c.Want != 0 {
			t.Errorf("%s is a default column of machine formats, but must be collected", c.Name)
		}
	}
}
