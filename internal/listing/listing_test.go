package listing

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/account"
	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/procfs"
	"github.com/sysvipc/gipc/internal/render"
	"github.com/sysvipc/gipc/sysv"
)

var taken = time.Unix(1_800_000_000, 0)

func process(pid int, container string) *inventory.Process {
	return &inventory.Process{PID: pid, Comm: "p", Container: procfs.Container{Runtime: "docker", ID: container}}
}

func sample() *inventory.Inventory {
	return &inventory.Inventory{Taken: taken, Objects: []inventory.Object{
		{Kind: sysv.Shm, Segment: &sysv.SegmentInfo{
			ID: 1, Perm: sysv.Perm{Key: 0x4e545030, UID: 54321, Mode: 0o600}, Size: 4096, NAttch: 2, CPID: 4, LPID: 5,
			CTime: taken.Add(-time.Hour), ATime: taken.Add(-time.Minute), DTime: taken.Add(-time.Minute), Dest: true, Locked: true,
		}, Use: &inventory.Use{
			Memory:   &procfs.SegmentMemory{Resident: 4096},
			Attached: []inventory.Attacher{{Process: process(9, "b")}, {Process: process(8, "a")}},
			Actors:   []inventory.Actor{{Role: inventory.Creator, State: inventory.Alive, Process: process(8, "a")}, {Role: inventory.User, State: inventory.Gone}},
			Verdict:  inventory.InUse, Reasons: []inventory.Reason{{Text: "one"}, {Text: "two"}}, Program: &inventory.Program{Name: "PostgreSQL"},
		}},
		{Kind: sysv.Sem, Set: &sysv.SetInfo{ID: 2, NSems: 2, CTime: taken.Add(-2 * time.Hour), OTime: taken.Add(-time.Hour)}, Use: &inventory.Use{
			Semaphores: []inventory.Semaphore{{NCount: 1}, {ZCount: 2}}, Verdict: inventory.Orphan,
			Waiting: []inventory.Waiter{{Process: process(7, "c"), TID: 7}, {Process: process(7, "c"), TID: 8}},
		}},
		{Kind: sysv.Msg, Queue: &sysv.QueueInfo{
			ID: 3, QBytes: 10, LSPID: 1, LRPID: 2, STime: taken, RTime: taken, CTime: taken.Add(time.Hour),
		}, Use: &inventory.Use{}},
		{Kind: sysv.Sem, Set: &sysv.SetInfo{ID: 4, CTime: taken}},
	}}
}

// show returns a column of the sample as people see it.
func show(t *testing.T, name string) string {
	t.Helper()
	list, err := Choose(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := render.Write(&b, render.Plain, list.Columns(), list.Rows(sample(), account.New()), render.Options{NoHeadings: true}); err != nil {
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
		{"idle", "0s 1h 0s 0s"},
		{"status", "dest,locked - - -"},
		{"keytext", "NTP0 - - -"},
	} {
		if got := show(t, tt.column); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.column, got, tt.want)
		}
	}
}

// TestValues holds the values of all fields against the types that they say to have.
func TestValues(t *testing.T) {
	types := map[Type]reflect.Type{
		Text: reflect.TypeFor[string](), Number: reflect.TypeFor[int64](), Time: reflect.TypeFor[time.Time](),
		Duration: reflect.TypeFor[time.Duration](), Condition: reflect.TypeFor[bool](),
		Texts: reflect.TypeFor[[]string](), Numbers: reflect.TypeFor[[]int64](),
	}
	inv := sample()
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
	inv.Hidden.Threads = 1
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
		{"waiting", "<nil> 3 <nil> <nil>"},
		{"lpid", "5 <nil> <nil> <nil>"},
		{"lastuser", "gone <nil> <nil> <nil>"},
	} {
		f, err := Fields().find(tt.field)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range inv.Objects {
			got = append(got, fmt.Sprint(f.Value(&Row{Object: &inv.Objects[i], Inventory: inv, Names: account.New()})))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.field, got, tt.want)
		}
	}
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct{ order, want string }{
		{"-id", "[4 3 2 1]"},
		{"kind,-id", "[3 4 2 1]"},
		{"-waiting", "[2 3 1 4]"}, // what is not known comes last
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
	standard := Default([]sysv.Kind{sysv.Msg}, false)
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
	for _, c := range Default([]sysv.Kind{sysv.Shm, sysv.Sem, sysv.Msg}, true) {
		if c.Want != 0 {
			t.Errorf("%s is shown to machines though it costs more to find out", c.Name)
		}
	}
}
