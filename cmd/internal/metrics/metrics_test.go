package metrics

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// read writes the families, checks the text against the format, and returns the samples.
// The HELP and TYPE lines of a family must come before its samples, the samples must stand
// together, and no sample may occur twice.
func read(t *testing.T, families []Family) map[string]string {
	t.Helper()
	var text strings.Builder
	if err := Write(&text, families); err != nil {
		t.Fatal(err)
	}
	const labels = `\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\}`
	sample := regexp.MustCompile(`^([a-z_]+)(` + labels + `)? ([0-9.]+)$`)
	samples, seen, family := make(map[string]string), make(map[string]bool), ""
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch words := strings.Fields(line); {
		case strings.HasPrefix(line, "# HELP "):
			if family = words[2]; seen[family] {
				t.Errorf("%s comes twice", family)
			}
			seen[family] = true
		case strings.HasPrefix(line, "# TYPE "):
			if words[2] != family || words[3] != "gauge" || strings.HasSuffix(family, "_total") {
				t.Errorf("%s follows the help of %s", line, family)
			}
		default:
			m := sample.FindStringSubmatch(line)
			if m == nil || m[1] != family || samples[m[1]+m[2]] != "" {
				t.Fatalf("%s: no sample of %s, or the second one", line, family)
			}
			samples[m[1]+m[2]] = m[3]
		}
	}
	return samples
}

func expect(t *testing.T, samples map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if samples[name] != value {
			t.Errorf("%s is %q, want %q; all are\n%v", name, samples[name], value, samples)
		}
	}
}

func TestLimits(t *testing.T) {
	samples := read(t, Limits([]limits.Limit{
		{Name: "SHMMNI", Kind: ref.Shm, Value: 4096, Use: 7, Counted: true},
		{Name: "SHMMNI", Kind: ref.Shm, Value: 4096, Use: 9, Counted: true, Place: "0123abc/4026531839"},
		{Name: "SHMMAX", Kind: ref.Shm, Value: 1 << 60},
	}))
	expect(t, samples, map[string]string{
		`gipc_limit{limit="shmmni",kind="shm"}`:                                 "4096",
		`gipc_limit_used{limit="shmmni",kind="shm"}`:                            "7",
		`gipc_limit_used{limit="shmmni",kind="shm",place="0123abc/4026531839"}`: "9",
		`gipc_limit{limit="shmmax",kind="shm"}`:                                 "1152921504606847000",
		`gipc_limit_used{limit="shmmax",kind="shm"}`:                            "",
	})
}

// layout returns the columns and measures of gipcs ls --by.
func layout(t *testing.T, by string) *groups.Layout {
	t.Helper()
	l, err := groups.NewLayout(by, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sums(l *groups.Layout, inv *inventory.Inventory) []*groups.Group[[]groups.Count] {
	names := account.New()
	fields.ExpectNames(inv, names)
	return groups.Sum(l.By, l.Measures, fields.Rows(inv, names))
}

// TestObjects sums up objects with hostile names. Two of the names would look the same if
// invalid UTF-8 were replaced.
func TestObjects(t *testing.T) {
	used := func(program string) *inventory.Use {
		return &inventory.Use{Program: &inventory.Program{Name: program}, Verdict: inventory.Orphan}
	}
	inv := &inventory.Inventory{Objects: []inventory.Object{
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 10, NAttch: 1}, Use: used("a\"} 1\ngipc_objects 7\\")},
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 20}, Use: used("\x1b[31m\u202e")},
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 30}, Use: used("\xff")},
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 40}, Use: used("\xfe")},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{}, Use: &inventory.Use{}},
	}}
	l := layout(t, "kind,program")
	samples := read(t, Objects(l.By, l.Measures, []Scan{{Groups: sums(l, inv), Inventory: inv, Want: l.Want(), Took: 1500 * time.Millisecond}}))
	expect(t, samples, map[string]string{
		`gipc_object_bytes{kind="shm",program="a\"} 1\\ngipc_objects 7\\\\"}`: "10",
		`gipc_object_bytes{kind="shm",program="\\x1b[31m\\u202e"}`:            "20",
		`gipc_object_bytes{kind="shm",program="\\xff"}`:                       "30",
		`gipc_object_bytes{kind="shm",program="\\xfe"}`:                       "40",
		`gipc_orphans{kind="shm",program="\\xfe"}`:                            "1",
		`gipc_objects{kind="pmsg",program=""}`:                                "1",
		`gipc_object_bytes{kind="pmsg",program=""}`:                           "",
		`gipc_deadlocks`:                "0",
		`gipc_hidden_processes`:         "0",
		`gipc_collect_errors`:           "0",
		`gipc_collect_duration_seconds`: "1.5",
	})
}

// TestManyOwners has more owners than a label may have values. The owners with the most
// objects keep their names, and no object is lost.
func TestManyOwners(t *testing.T) {
	inv, again := &inventory.Inventory{}, &inventory.Inventory{}
	const owners = 1_000
	for i := range owners {
		o := inventory.Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 1, Perm: sysv.Perm{UID: uint32(2_000_000_000 + i)}}}
		inv.Objects = append(inv.Objects, o)
		if i >= owners-20 {
			again.Objects = append(again.Objects, o, o)
		}
	}
	l := layout(t, "kind,owner")
	samples := read(t, Objects(l.By, l.Measures, []Scan{
		{Groups: sums(l, inv), Inventory: inv},
		{Groups: sums(l, again), Inventory: again, Place: "4026531999"},
	}))
	names := make(map[string]bool)
	objects := 0
	for name, value := range samples {
		if m := regexp.MustCompile(`^gipc_objects\{.*owner="([^"]*)"`).FindStringSubmatch(name); m != nil {
			names[m[1]] = true
			var n int
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Error(err)
			}
			objects += n
		}
	}
	if len(names) != maxValues+1 || objects != owners+40 {
		t.Errorf("%d owners with %d objects, want %d with %d", len(names), objects, maxValues+1, owners+40)
	}
	for i := owners - 20; i < owners; i++ {
		if name := fmt.Sprint(2_000_000_000 + i); !names[name] {
			t.Errorf("%s has more objects than others, and no name", name)
		}
	}
	expect(t, samples, map[string]string{
		`gipc_objects{kind="shm",owner="other"}`:                         fmt.Sprint(owners - maxValues),
		`gipc_objects{kind="shm",owner="2000000999",place="4026531999"}`: "2",
	})
}
