package snapshot

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// read reads lines of objects after a header, which edit may change.
func read(t *testing.T, edit func(*Header), objects ...string) *Snapshot {
	t.Helper()
	h := header()
	h.Selection = Selection{}
	if edit != nil {
		edit(h)
	}
	var b strings.Builder
	head := string(encode(t, h, &inventory.Inventory{}, false))
	b.WriteString(strings.Replace(head, `"objects":0`, fmt.Sprintf(`"objects":%d`, len(objects)), 1))
	for _, o := range objects {
		b.WriteString(o + "\n")
	}
	s, err := Read(strings.NewReader(b.String()), []string{"container"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func later(d time.Duration) func(*Header) {
	return func(h *Header) { h.Taken, h.Uptime = h.Taken.Add(d), h.Uptime+d }
}

// TestSame compares two lines with the same identifier.
func TestSame(t *testing.T) {
	const ten, eleven, noon = `"2026-01-31T10:00:00Z"`, `"2026-01-31T11:00:00Z"`, `"2026-01-31T12:00:00Z"`
	line := func(kind, fields string) string { return fmt.Sprintf(`{"kind":%q,"id":7,%s}`, kind, fields) }
	for _, tt := range []struct {
		what, kind    string
		before, after string
		same          bool
	}{
		{"nothing changed", "shm", `"ctime":` + ten, `"ctime":` + ten, true},
		{"another time zone", "shm", `"ctime":` + ten, `"ctime":"2026-01-31T12:00:00+02:00"`, true},
		{"attached again", "shm", `"ctime":` + ten + `,"atime":` + ten, `"ctime":` + ten + `,"atime":` + noon, true},
		{"never used and newer", "shm", `"ctime":` + ten, `"ctime":` + noon, false},
		{"chmod", "shm", `"ctime":` + ten + `,"mode":"0600"`, `"ctime":` + noon + `,"mode":"0640"`, true},
		{"chown", "msg", `"ctime":` + ten + `,"uid":1`, `"ctime":` + noon + `,"uid":2`, true},
		{"qbytes set", "msg", `"ctime":` + ten + `,"qbytes":1`, `"ctime":` + noon + `,"qbytes":2`, true},
		{"qbytes unknown", "msg", `"ctime":` + ten + `,"qbytes":1`, `"ctime":` + noon + `,"qbytes":null`, false},
		{"SETVAL", "sem", `"ctime":` + ten + `,"otime":` + ten, `"ctime":` + noon + `,"otime":` + ten, true},
		{"SETVAL before any use", "sem", `"ctime":` + ten, `"ctime":` + noon, true},
		{"a set without its last use", "sem", `"ctime":` + ten + `,"otime":` + ten, `"ctime":` + noon + `,"otime":null`, false},
		{"a use before the last one", "msg", `"ctime":` + ten + `,"stime":` + noon, `"ctime":` + noon + `,"stime":` + eleven, false},
		{"changed, and last use kept", "shm", `"ctime":` + ten + `,"dtime":` + ten, `"ctime":` + noon + `,"dtime":` + ten, true},
		{"another creator", "shm", `"ctime":` + ten + `,"cpid":5`, `"ctime":` + ten + `,"cpid":6`, false},
		{"another user made it", "msg", `"ctime":` + ten + `,"cuid":5`, `"ctime":` + ten + `,"cuid":6`, false},
		{"another size", "shm", `"ctime":` + ten + `,"size":5`, `"ctime":` + ten + `,"size":6`, false},
		{"more bytes in the queue", "msg", `"ctime":` + ten + `,"size":5`, `"ctime":` + ten + `,"size":6`, true},
		{"more semaphores", "sem", `"ctime":` + ten + `,"nsems":5`, `"ctime":` + ten + `,"nsems":6`, false},
		{"another key", "sem", `"ctime":` + ten + `,"key":"0x000004d2"`, `"ctime":` + ten + `,"key":"0x000004d3"`, false},
		{"a set loses no key", "sem", `"ctime":` + ten + `,"key":"0x000004d2"`, `"ctime":` + ten + `,"key":"0x00000000"`, false},
		{"marked for removal", "shm", `"ctime":` + ten + `,"key":"0x000004d2"`, `"ctime":` + ten + `,"key":"0x00000000"`, true},
		{"POSIX, another inode", "pshm", `"name":"/x","inode":5`, `"name":"/x","inode":6`, false},
		{"POSIX, another time", "pshm", `"name":"/x","inode":5,"ctime":` + ten, `"name":"/x","inode":5,"ctime":` + noon, true},
	} {
		a := read(t, nil, line(tt.kind, tt.before))
		b := read(t, later(time.Hour), line(tt.kind, tt.after))
		d, err := Compare(a, b)
		if err != nil {
			t.Fatal(err)
		}
		same := !slices.ContainsFunc(d.Changes, func(c Change) bool { return c.What == Came || c.What == Went })
		if same != tt.same {
			t.Errorf("%s: same %v, want %v", tt.what, same, tt.same)
		}
	}
}

// TestSameElsewhere: processes and users have other numbers in other namespaces.
func TestSameElsewhere(t *testing.T) {
	const before, after = `{"kind":"shm","id":7,"cpid":5,"cuid":8,"cgid":8}`, `{"kind":"shm","id":7,"cpid":6,"cuid":9,"cgid":9}`
	for _, tt := range []struct {
		edit func(*Header)
		want int
	}{
		{func(*Header) {}, 2},
		{func(h *Header) { h.PIDNamespace = 0 }, 2},
		{func(h *Header) { h.UserNamespace = 0 }, 2},
		{func(h *Header) { h.PIDNamespace, h.UserNamespace = 11, 12 }, 0},
	} {
		d, err := Compare(read(t, nil, before), read(t, tt.edit, after))
		if err != nil || len(d.Changes) != tt.want {
			t.Errorf("%v, %v, want %d changes", d.Changes, err, tt.want)
		}
	}
}

func describe(d *Diff) (list []string) {
	for i := range d.Changes {
		c := &d.Changes[i]
		list = append(list, fmt.Sprintf("%v %v %+d", c.What, c.Object().Object, c.Bytes().Delta()))
	}
	return list
}

// twoStates returns objects of which some came, went and changed.
func twoStates() (before, after []string) {
	before = []string{
		`{"kind":"shm","id":1,"size":100,"nattch":1}`,
		`{"kind":"shm","id":2,"size":200,"nattch":3}`,
		`{"kind":"msg","id":1,"size":10,"messages":1}`,
		`{"kind":"msg","id":2,"size":10,"messages":3}`,
		`{"kind":"msg","id":3,"size":10,"messages":3}`,
		`{"kind":"pmsg","name":"/q","inode":9,"size":null,"messages":null}`,
		`{"kind":"pshm","name":"/m","inode":9,"size":5}`,
		`{"kind":"sem","id":1,"nsems":5}`,
	}
	after = []string{
		`{"kind":"shm","id":2,"size":200,"nattch":2}`,
		`{"kind":"shm","id":3,"size":300,"nattch":0}`,
		`{"kind":"msg","id":1,"size":30,"messages":2}`,
		`{"kind":"msg","id":2,"size":40,"messages":2}`,
		`{"kind":"msg","id":3,"size":10,"messages":3}`,
		`{"kind":"pmsg","name":"/q","inode":9,"size":50,"messages":5}`,
		`{"kind":"pshm","name":"/m","inode":9,"size":6}`,
		`{"kind":"sem","id":1,"nsems":5}`,
		`{"kind":"sem","id":4,"nsems":5}`,
	}
	return before, after
}

func TestCompare(t *testing.T) {
	before, after := twoStates()
	all := "came shm:3 +300, changed msg:2 +30, grew msg:1 +20, grew pshm:/m +1, came sem:4 +0, shrank shm:2 +0, went shm:1 -100"
	hour := later(time.Hour)
	for _, tt := range []struct {
		what  string
		edit  func(*Header)
		want  string
		notes string
	}{
		{"an hour later", hour, all, ""},
		{"the clock was set", func(h *Header) { hour(h); h.Taken = h.Taken.Add(-2 * time.Hour) }, all, "the clock was set back by 2h0m0s in between; the rates do not depend on it"},
		{"the clock was set forward", func(h *Header) { hour(h); h.Taken = h.Taken.Add(time.Minute) }, all, "the clock was set forward by 1m0s in between; the rates do not depend on it"},
		{"another user", func(h *Header) { hour(h); h.UID = 0 }, all, "the snapshots were taken by different users, uid 54321 and uid 0, who may not see the same objects and processes"},
		{
			"only some kinds", func(h *Header) { hour(h); h.Kinds = []ref.Kind{ref.Sem, ref.Msg} }, "changed msg:2 +30, grew msg:1 +20, came sem:4 +0",
			"shared memory segments, POSIX shared-memory objects, POSIX semaphores, POSIX message queues are not compared: only one of the snapshots could list them",
		},
		{
			"another IPC namespace", func(h *Header) { hour(h); h.Namespace = 5 },
			"came shm:3 +300, came shm:2 +200, came pmsg:/q +50, came msg:2 +40, came msg:1 +30, came msg:3 +10, grew pshm:/m +1, came sem:1 +0, came sem:4 +0, " +
				"went pmsg:/q +0, went sem:1 +0, went msg:1 -10, went msg:2 -10, went msg:3 -10, went shm:1 -100, went shm:2 -200",
			"the snapshots are of different IPC namespaces, 4026531839 and 5: they have no System V object and no POSIX queue in common",
		},
		{
			"another /dev/shm", func(h *Header) { hour(h); h.ShmDevice = 5 },
			strings.Replace(strings.Replace(all, "grew pshm:/m +1", "came pshm:/m +6", 1), "went shm:1", "went pshm:/m -5, went shm:1", 1),
			"the snapshots are of different file systems on /dev/shm: they have no POSIX shared memory and no POSIX semaphore in common",
		},
	} {
		d, err := Compare(read(t, nil, before...), read(t, tt.edit, after...))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(describe(d), ", "); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.what, got, tt.want)
		}
		if got := strings.Join(d.Notes, "; "); got != tt.notes {
			t.Errorf("%s: notes %q, want %q", tt.what, got, tt.notes)
		}
	}
}

// TestRestart: nothing survives a restart, and there are no rates.
func TestRestart(t *testing.T) {
	const object = `{"kind":"shm","id":1,"size":100}`
	for host, note := range map[string]string{"": "the machine was restarted in between", "other": "the snapshots are of different machines, "} {
		b := read(t, func(h *Header) {
			h.BootID, h.Uptime = "boot 2", time.Minute
			if host != "" {
				h.Host = host
			}
		}, object)
		d, err := Compare(read(t, nil, object), b)
		if err != nil || len(d.Changes) != 2 || len(d.Notes) != 1 || !strings.HasPrefix(d.Notes[0], note) {
			t.Errorf("%v, %v, want came, went and %q", d, err, note)
		}
		if _, known := d.PerHour(Quantity{0, 5, true}); known {
			t.Error("there is a rate over a restart")
		}
	}
}

func TestNotComparable(t *testing.T) {
	for _, tt := range []struct {
		edit func(*Header)
		want string
	}{
		{later(-time.Second), "the first is newer than the second; name the older one first"},
		{
			func(h *Header) { h.Selection.Conditions = []string{`owner == "x"`}; h.Selection.IgnoreHidden = true },
			`they hold different selections of objects (all objects; owner == "x" && hidden processes ignored); compare snapshots that were taken with the same flags`,
		},
	} {
		if _, err := Compare(read(t, nil), read(t, tt.edit)); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

func TestSums(t *testing.T) {
	a := read(t, nil,
		`{"kind":"shm","id":1,"size":100,"program":"leaker","owner":"u"}`,
		`{"kind":"shm","id":2,"size":100,"program":"steady","owner":"u"}`,
		`{"kind":"msg","id":1,"size":100,"messages":4,"program":null,"owner":"u"}`)
	b := read(t, later(30*time.Minute),
		`{"kind":"shm","id":1,"size":100,"program":null,"owner":"u"}`, // no process is left to name it
		`{"kind":"shm","id":2,"size":100,"program":"steady","owner":"u"}`,
		`{"kind":"shm","id":3,"size":700,"program":"leaker","owner":"u"}`,
		`{"kind":"shm","id":4,"size":9223372036854775807,"program":"greedy","owner":"u"}`,
		`{"kind":"shm","id":5,"size":18446744073709551615,"program":"greedy","owner":"v"}`,
		`{"kind":"sem","id":1,"nsems":3,"program":"leaker","owner":"v"}`,
		`{"kind":"msg","id":1,"size":60,"messages":2,"program":null,"owner":"u"}`)
	d, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ by, want string }{
		{"program", "greedy 2-0 objects 2, leaker 2-0 objects 3 bytes +700 1400/h semaphores +3, ? 0-0 objects 1 bytes -40 -80/h messages -2"},
		{"owner,program", "u,greedy 1-0 objects 1, v,greedy 1-0 objects 1, u,leaker 1-0 objects 2 bytes +700 1400/h, v,leaker 1-0 objects 1 semaphores +3, u,? 0-0 objects 1 bytes -40 -80/h messages -2"},
	} {
		var got []string
		for _, g := range d.Sums(strings.Split(tt.by, ",")) {
			s := &g.Sum
			var key []string
			for _, text := range g.Key {
				if !text.Known {
					text.Text = "?"
				}
				key = append(key, text.Text)
			}
			line := fmt.Sprintf("%s %d-%d objects %d", strings.Join(key, ","), s.Came, s.Went, s.Objects.After)
			if n := s.Bytes.Delta(); n != 0 && n != math.MaxInt64 {
				rate, _ := d.PerHour(s.Bytes)
				line += fmt.Sprintf(" bytes %+d %g/h", n, rate)
			}
			if n := s.Messages.Delta(); n != 0 {
				line += fmt.Sprintf(" messages %+d", n)
			}
			if n := s.Semaphores.Delta(); n != 0 {
				line += fmt.Sprintf(" semaphores %+d", n)
			}
			got = append(got, line)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("by %s:\n%s\nwant\n%s", tt.by, strings.Join(got, ", "), tt.want)
		}
	}
}

// TestMakers: a segment gets the program of another one with the same creator.
func TestMakers(t *testing.T) {
	a := read(t, nil, `{"kind":"shm","id":1,"cpid":5,"program":"leaker"}`, `{"kind":"shm","id":2,"cpid":6,"program":null}`)
	lines := []string{`{"kind":"shm","id":3,"cpid":5,"program":null}`, `{"kind":"shm","id":4,"cpid":6,"program":null}`, `{"kind":"msg","id":4,"program":null}`}
	for _, tt := range []struct {
		edit func(*Header)
		want string
	}{
		{later(time.Hour), "came shm:3 leaker, came shm:4 ?, came msg:4 ?, went shm:1 leaker, went shm:2 ?"},
		{func(h *Header) { h.PIDNamespace = 9 }, "came shm:3 ?, came shm:4 ?, came msg:4 ?, went shm:1 leaker, went shm:2 ?"},
		{func(h *Header) { h.BootID = "boot 2" }, "came shm:3 ?, came shm:4 ?, came msg:4 ?, went shm:1 leaker, went shm:2 ?"},
	} {
		d, err := Compare(a, read(t, tt.edit, lines...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range d.Changes {
			c := &d.Changes[i]
			name := d.Text(c, "program")
			if !name.Known {
				name.Text = "?"
			}
			got = append(got, fmt.Sprintf("%v %v %s", c.What, c.Object().Object, name.Text))
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s\nwant\n%s", strings.Join(got, ", "), tt.want)
		}
	}
}
