package groups

import (
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// sample is an inventory with known and unknown values.
func sample() *inventory.Inventory {
	orphan := &inventory.Use{Verdict: inventory.Orphan}
	postgres := &inventory.Use{Verdict: inventory.InUse, Program: &inventory.Program{Name: "postgres"}}
	unread := &inventory.Use{} // a set that the caller may not read
	return &inventory.Inventory{Objects: []inventory.Object{
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 100, NAttch: 2}, Use: postgres},
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 50}, Use: orphan},
		{Kind: ref.Sem, Set: &sysv.SetInfo{NSems: 3}, Use: unread},
		{Kind: ref.Sem, Set: &sysv.SetInfo{NSems: 1}, Use: &inventory.Use{Verdict: inventory.Orphan, Semaphores: []inventory.Semaphore{{NCount: 2}}}},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{Known: true, Bytes: 7, Attributes: posix.Attributes{CurMsgs: 1}}, Use: orphan},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{}, Use: orphan},
	}}
}

// csv sums up the sample.
func csv(t *testing.T, l *Layout) string {
	t.Helper()
	list := Sum(l.By, l.Measures, fields.Rows(sample(), account.New()))
	slices.SortFunc(list, l.Compare)
	columns := l.Columns()
	var out strings.Builder
	err := render.Write(&out, render.CSV, columns, func(yield func([]render.Cell) bool) {
		for _, g := range list {
			cells := make([]render.Cell, len(columns))
			if l.Fill(cells, g); !yield(cells) {
				return
			}
		}
	}, render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), "\r", "")
}

func TestLayout(t *testing.T) {
	for _, tt := range []struct{ by, show, sort, want string }{
		// One queue holds a message, so gipcs does not call it an orphan. A sum is unknown
		// if a part of it is unknown, or if no object has the field.
		{"kind", "", "", "kind,objects,bytes,messages,attachments,waiting,orphans\n" +
			"pmsg,2,,,,,1\nsem,2,,,,,1\nshm,2,150,,2,,1\n"},
		{"verdict", "verdict,objects", "", "verdict,objects\norphan,4\nin use,1\nunknown,1\n"},
		{"program", "+objects", "", "program,objects\n,5\npostgres,1\n"},
		{"program", "+objects", "program", "program,objects\npostgres,1\n,5\n"},
		{"program", "+objects", "-program", "program,objects\npostgres,1\n,5\n"},
		{"kind", "bytes,KIND", "-bytes", "bytes,kind\n150,shm\n,pmsg\n,sem\n"},
		{"Kind,verdict", "objects", "kind,-verdict", "objects\n2\n1\n1\n1\n1\n"},
	} {
		l, err := NewLayout(tt.by, tt.show, tt.sort)
		if err != nil {
			t.Errorf("%s %s %s: %v", tt.by, tt.show, tt.sort, err)
			continue
		}
		if got := csv(t, l); got != tt.want {
			t.Errorf("--by %s -o %s --sort %s:\n%swant\n%s", tt.by, tt.show, tt.sort, got, tt.want)
		}
	}
}

func TestLayoutErrors(t *testing.T) {
	for _, tt := range []struct{ by, show, sort, want string }{
		{"", "", "", `cannot be grouped by ""; the columns for that are kind `},
		{"size", "", "", `cannot be grouped by "size"`},
		{"kind,nosuch", "", "", `cannot be grouped by "nosuch"`},
		{"kind,Kind", "", "", "kind is named twice"},
		{"kind", "owner", "", `no column "owner"; their columns are kind objects bytes`},
		{"kind", "kind,", "", `no column ""`},
		{"kind", "", "--bytes", `no column "-bytes"`},
	} {
		if _, err := NewLayout(tt.by, tt.show, tt.sort); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("--by %q -o %q --sort %q: %v, want %q", tt.by, tt.show, tt.sort, err, tt.want)
		}
	}
}

// TestWant: only what is shown, sorted by or grouped by is collected.
func TestWant(t *testing.T) {
	for _, tt := range []struct {
		by, show, sort string
		want           inventory.Want
	}{
		{"owner", "owner,objects,bytes", "", 0},
		{"owner", "owner", "-waiting", inventory.WantWaiting},
		{"verdict", "objects", "", inventory.WantVerdict},
		{"owner", "", "", inventory.WantWaiting | inventory.WantVerdict},
	} {
		l, err := NewLayout(tt.by, tt.show, tt.sort)
		if err != nil || l.Want() != tt.want {
			t.Errorf("%+v: wants %b, %v", tt, l.Want(), err)
		}
	}
}

// TestTable uses keys whose texts are equal when they are joined.
func TestTable(t *testing.T) {
	keys := [][]Value{
		{{"a", true}, {"bc", true}},
		{{"ab", true}, {"c", true}},
		{{"", true}, {"abc", true}},
		{{"", true}, {"", true}},
		{{"", false}, {"", true}},
		{{"", true}, {"", false}},
		{{"\x00", true}, {"", true}},
		{{"\x01\x00", true}, {"", false}},
	}
	var table Table[int]
	for round := range 3 {
		for i, key := range keys {
			*table.At(slices.Clone(key)) += i
			if round == 0 && len(table.Groups()) != i+1 {
				t.Fatalf("%v is taken for another key", key)
			}
		}
	}
	for i, g := range table.Groups() {
		if Compare(g.Key, keys[i]) != 0 || g.Sum != 3*i {
			t.Errorf("group %d is %v with %d", i, g.Key, g.Sum)
		}
	}
}
