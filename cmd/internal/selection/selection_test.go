package selection

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// taken is the time of the sample.
var taken = time.Unix(1_800_000_000, 0)

func ago(d time.Duration) time.Time { return taken.Add(-d) }

// sample returns an inventory with an object for each case that the tests need.
// Identifiers are 1, 2, 3 ...
func sample() *inventory.Inventory {
	use := func(v inventory.Verdict) *inventory.Use { return &inventory.Use{Verdict: v} }
	free, held := use(inventory.Orphan), use(inventory.InUse)
	free.Semaphores = []inventory.Semaphore{{Value: 1}}
	held.Semaphores = []inventory.Semaphore{{NCount: 2}}
	held.Waiting = []inventory.Waiter{{Process: &inventory.Process{PID: 77}}}
	program := use(inventory.Idle)
	program.Program = &inventory.Program{Name: "PostgreSQL"}
	program.Attached = []inventory.Attacher{{Process: &inventory.Process{PID: 50}}, {Process: &inventory.Process{PID: 51}}}
	return &inventory.Inventory{Taken: taken, Objects: []inventory.Object{
		{Kind: ref.Shm, Use: use(inventory.Orphan), Segment: &sysv.SegmentInfo{
			ID: 1, Perm: sysv.Perm{Key: 0x4d2, UID: 0, Mode: 0o600}, Size: 4096, CPID: 10, CTime: ago(2 * time.Hour),
		}},
		{Kind: ref.Shm, Use: program, Segment: &sysv.SegmentInfo{
			ID: 2, Perm: sysv.Perm{Key: -1, UID: 12345, Mode: 0o644}, Size: 1 << 32, NAttch: 2, LPID: 5, ATime: ago(time.Minute), CTime: ago(time.Hour), Dest: true,
		}},
		{Kind: ref.Sem, Use: free, Set: &sysv.SetInfo{ID: 3, Perm: sysv.Perm{CUID: 1<<32 - 2}, NSems: 1, CTime: ago(time.Hour), OTime: ago(time.Minute)}},
		{Kind: ref.Sem, Use: held, Set: &sysv.SetInfo{ID: 4, NSems: 1, CTime: ago(time.Second)}},
		{Kind: ref.Msg, Use: use(inventory.Unknown), Queue: &sysv.QueueInfo{ID: 5, QBytes: 16384, CTime: ago(48 * time.Hour)}},
		{Kind: ref.Msg, Use: use(inventory.Unknown), Queue: &sysv.QueueInfo{ID: 6, QBytes: 16384, QNum: 1, CBytes: 4096, CTime: ago(time.Second), STime: taken, LSPID: 9}},
	}}
}

// identifiers returns the identifiers of the selected objects.
func identifiers(inv *inventory.Inventory, s Selection) (string, error) {
	c := s.Choose(inv, account.New())
	return list(c.Selected), c.Err()
}

func list(objects []inventory.Object) string {
	ids := make([]int, len(objects))
	for i := range objects {
		ids[i] = objects[i].ID()
	}
	return strings.Trim(fmt.Sprint(ids), "[]")
}

func parse(t *testing.T, texts ...string) (s Selection) {
	t.Helper()
	for _, text := range texts {
		c, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		s = append(s, c)
	}
	return s
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{`kind == "sem"`, "3 4"},
		{`kind != "sem"`, "1 2 5 6"},
		{`kind in ["sem", "msg"]`, "3 4 5 6"},
		{`id > 2 and id <= 4`, "3 4"},
		{`key == 0x4d2`, "1"},
		{`key == key("1234")`, "1"},
		{`key == key("-1")`, "2"},
		{`key == key("0xffffffff")`, "2"},
		{`owner == "12345"`, "2"},
		{`uid == 12345`, "2"},
		{`cuid > 1000`, "3"},
		{`cuid == 4294967294.0`, "3"},
		{`mode == 0o600`, "1"},
		{`perms startsWith "rw-r"`, "2"},
		{`size == size("4K")`, "1 6"},
		{`size > size("4GB") && kind == "shm"`, "2"},
		{`age > duration("1h")`, "1 5"},
		{`age >= duration("1h") && age < duration("1d")`, "1 2 3"},
		{`age > duration("1d12h")`, "5"},
		{`ctime < date("2020-01-01")`, ""},
		{`idle < duration("2m")`, "2 3 4 6"},
		{`"dest" in status`, "2"},
		{`dest`, "2"},
		{`not dest`, "1"},
		{`10 == cpid`, "1"},
		{`50 in pids`, "2"},
		{`any(pids, # > 50)`, "2 4"},
		{`len(pids) == 0`, "1 3 5 6"},
		{`attached == 2`, "2"},
		{`waiting == 2`, "4"},
		{`verdict == "unknown"`, "5 6"},
		{`orphan`, "1 3"},
		{`in_use`, "4"},
		{`unused`, "1 3 5"},
		{`program == "PostgreSQL"`, "2"},
		{`program contains "Post" or orphan`, "1 2 3"},

		// Missing and unknown fields select nothing.
		{`nattch == 0`, "1"},
		{`nattch != 0`, "2"},
		{`not (nattch == 0)`, "2"},
		{`!(nattch != 0)`, "1"},
		{`!orphan`, "2 4"},
		{`!in_use`, "1 2 3"},
		{`!unused`, "2 4 6"},
		{`orphan == false`, "2 4"},
		{`cpid != 10`, ""},
		{`program != "PostgreSQL"`, ""},
		{`kind == "sem" || nattch == 0`, "1 3 4"},
		{`nattch == 0 || kind == "sem"`, "1 3 4"},
		{`!(kind != "sem" && nattch != 0)`, "1 3 4"},
		{`nattch == 0 ? true : true`, "1 2"},
		{`let n = nattch; n == 0 || true`, "1 2"},
		{`(orphan || !orphan) && kind == "msg"`, ""},
		{`nattch == nil`, "3 4 5 6"},
		{`nattch != nil`, "1 2"},
		{`nil != nattch`, "1 2"},
		{`!(nattch == nil)`, "1 2"},
		{`otime == nil && kind == "sem"`, "4"},
		{`otime == nil || nsems == 1`, "1 2 3 4 5 6"},
	} {
		s := parse(t, tt.expr)
		if got, err := identifiers(sample(), s); err != nil || got != tt.want {
			t.Errorf("%s selects %q, %v; want %q", tt.expr, got, err, tt.want)
		}
	}
}

func TestFilterAll(t *testing.T) {
	s := parse(t, "orphan", `kind == "sem"`)
	if got, err := identifiers(sample(), s); err != nil || got != "3" {
		t.Errorf("two conditions select %q, %v", got, err)
	}
	if got, err := identifiers(sample(), nil); err != nil || got != "1 2 3 4 5 6" {
		t.Errorf("no condition selects %q, %v", got, err)
	}
}

// TestHidden: the waiters of a queue are unknown while some processes cannot be
// inspected.
func TestHidden(t *testing.T) {
	for _, tt := range []struct{ expr, want, hidden string }{
		{"waiting == 0", "3 5 6", "3"},
		{"waiting > 0", "4", "4"},
		{"unused", "1 3 5", "1 3"},
	} {
		for _, h := range []struct {
			hidden inventory.Hidden
			want   string
		}{{inventory.Hidden{}, tt.want}, {hidden(0), tt.hidden}, {hidden(1), tt.hidden}, {inventory.Hidden{Unlisted: true}, tt.hidden}} {
			inv := sample()
			inv.Hidden = h.hidden
			if got, err := identifiers(inv, parse(t, tt.expr)); err != nil || got != h.want {
				t.Errorf("%s selects %q, %v with %+v; want %q", tt.expr, got, err, h.hidden, h.want)
			}
		}
	}
	inv := sample()
	inv.Objects[0].Use.HiddenAttachments = 1
	if got, err := identifiers(inv, parse(t, "attached >= 0")); err != nil || got != "2" {
		t.Errorf("attached >= 0 selects %q, %v with an attachment hidden; want 2", got, err)
	}
}

// hidden returns a process with this many hidden threads; 0 means the whole process.
func hidden(threads int) inventory.Hidden {
	return inventory.Hidden{Processes: []inventory.HiddenProcess{{Process: &inventory.Process{PID: 9}, Threads: threads}}}
}

func TestWant(t *testing.T) {
	for _, tt := range []struct {
		expr string
		want inventory.Want
	}{
		{`kind == "sem" && age > duration("1h")`, 0},
		{`nattch == nil || idle > duration("1h")`, 0},
		{`orphan`, inventory.WantVerdict},
		{`orphan == nil`, inventory.WantVerdict},
		{`false && rss > 0`, inventory.WantMemory},
		{`any(pids, # == lpid)`, inventory.WantAttached | inventory.WantWaiting | inventory.WantOpen},
		{`let p = program; p == "X"`, inventory.WantProgram},
	} {
		if got := parse(t, tt.expr).Want(); got != tt.want {
			t.Errorf("%s wants %b, want %b", tt.expr, got, tt.want)
		}
	}
	if got := parse(t, "orphan", "rss > 0").Want(); got != inventory.WantVerdict|inventory.WantMemory {
		t.Errorf("Want of two conditions = %b", got)
	}
}

func TestColumns(t *testing.T) {
	for _, tt := range []struct{ exprs, want string }{
		{"id > 0", "id"},
		{"orphan", "verdict reasons"},
		{"dest && idle > duration(\"1h\")|idle < duration(\"2h\")", "idle"},
		{"program == nil|reasons == nil && in_use", "program reasons verdict"},
	} {
		if got := strings.Join(parse(t, strings.Split(tt.exprs, "|")...).Columns(), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.exprs, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const fields = "; the fields are text: kind *; number: id *; time: atime *; duration: age idle; condition: dest *; list of texts: status *; list of numbers: pids"
	for _, tt := range []struct{ expr, want string }{
		{"", "it is empty"},
		{" \n", "it is empty"},
		{"true", "it mentions no field, so it would select all objects or none"},
		{`1 == 1 || "kind" == "shm"`, "it mentions no field, so it would select all objects or none"},
		{`duration("1h") > duration("1m")`, "it mentions no field, so it would select all objects or none"},
		{`ownr == "x"`, `unknown name ownr, at character 1: "ownr == \"x\""` + fields},
		{"owner == \"ä\" &&\n  ownr == \"x\"", `unknown name ownr, at character 19: "ownr == \"x\""` + fields},
		{`orphan && foo(1)`, `unknown name foo, at character 11: "foo(1)"` + fields},
		{`id == "5"`, `invalid operation: == (mismatched types number and text), at character 4: "== \"5\""` + fields},
		{`age > 3600`, `invalid operation: > (mismatched types duration and number), at character 5: "> 3600"` + fields},
		{`key == "0x4d2"`, `invalid operation: == (mismatched types number and text), at character 5: "== \"0x4d2\""` + fields},
		{`orphan && owner`, `invalid operation: && (mismatched types condition and text), at character 8: "&& owner"` + fields},
		{`!owner`, `invalid operation: ! (mismatched type text), at character 1: "!owner"` + fields},
		{"id", "it is a number, not true or false"},
		{"filter([1, 2], true)", "it is a list, not true or false"},
		{"owner", "it is a text, not true or false"},
		{"now() - ctime", "it is a duration, not true or false"},
		{"id ==", "it ends too early"},
		{"(orphan", "it ends too early"},
		{`owner == "x`, `literal not terminated, at character 12: ""`},
		{`id = 5`, `write == to compare, at character 4: "= 5"`},
		{`age > 1h`, `a number with a unit is written duration("1h") or size("4K"), at character 8: "h"`},
		{`mode != 0644`, `write 0o644 for an octal number, at character 9: "0644"`},
		{`orphan orphan`, `unexpected token Identifier("orphan"), at character 8: "orphan"`},
		{`kind == "segment"`, `kind is never "segment"; it is one of shm, sem, msg, pshm, psem, pmsg, at character 9: "\"segment\""`},
		{`"Sem" != kind`, `kind is never "Sem"; it is one of shm, sem, msg, pshm, psem, pmsg, at character 1: "\"Sem\" != kind"`},
		{`kind in ["shm", "queue"]`, `kind is never "queue"; it is one of shm, sem, msg, pshm, psem, pmsg, at character 17: "\"queue\"]"`},
		{`kind not in ["set"]`, `kind is never "set"; it is one of shm, sem, msg, pshm, psem, pmsg, at character 14: "\"set\"]"`},
		{`verdict == "inuse"`, `verdict is never "inuse"; it is one of in use, idle, orphan, unknown, at character 12: "\"inuse\""`},
		{`age > duration("1y")`, `invalid duration "1y": want numbers*, at character 16: "\"1y\")"`},
		{`age > duration(60)`, `duration takes a text in quotes, at character 16: "60)"`},
		{`age > duration(owner)`, `duration takes a text in quotes, at character 16: "owner)"`},
		{`age > duration()`, `duration takes one text in quotes, at character 7: "duration()"`},
		{`size > size("1Q")`, `invalid size "1Q": *, at character 13: "\"1Q\")"`},
		{`size > size("1K", "2K")`, `size takes one text in quotes, at character 8: "size(\"1K\", \"2K\")"`},
		{`key == key("x")`, `key "x" is not a number; *, at character 12: "\"x\")"`},
		{`key == key("0x1ffffffff")`, `key "0x1ffffffff" does not fit into 32 bits, at character 12: "\"0x1ffffffff\")"`},
		{`nattch ?? 0`, `?? does not work on fields; test with == nil whether a field is known, at character 8: "?? 0"`},
		{`$env["id"] == 1`, `unknown name $env, at character 1: "$env[\"id\"] == 1"`},
		{`owner matches "["`, `error parsing regexp: missing closing ]: ` + "`[`" + `, at character 7: "matches \"[\""` + fields},
		{`any(pids, any(status, true))`, `a list function cannot run inside a list function, at character 23: "true))"`},
		{`let id = 5; id == 5`, `cannot redeclare id, at character 5: "id = 5; id == 5"` + fields},
		{"id == 1 # comment", `*, at character *: "*"`},
	} {
		_, err := Parse(tt.expr)
		var e *Error
		switch {
		case !errors.As(err, &e):
			t.Errorf("%q: %v", tt.expr, err)
		case !matches(tt.want, err.Error()), strings.ContainsAny(err.Error(), "\n"):
			t.Errorf("%q:\n got %s\nwant %s", tt.expr, err, tt.want)
		}
	}
}

// matches reports whether text matches pattern, in which * stands for any text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1:] {
		_, rest, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = rest
	}
	return len(parts) > 1 || text == ""
}

// TestFailed: an object for which an expression fails is left out; others are not.
func TestFailed(t *testing.T) {
	tests := []struct{ exprs, want, failed string }{
		{"pids[0] == 50", "2", "4 objects are left out because the expression has no value for them; the first is shm:1: *, at character *"},
		{"pids[0] == 50\nid <= 2", "2", "1 object is left out because the expression has no value for it: shm:1: *, at character *"},
		{"id <= 2\npids[0] == 50", "2", "1 object is left out because *"},
		{"pids[0] == 50\nid == 2", "2", ""},
		{`kind == "msg" || pids[0] == 77`, "4 5 6", "2 objects are left out because *"},
		{"len(1..id * 100000) > 0 && id > 0", "", "6 objects are left out because *; the first is shm:1: memory budget exceeded, at *"},
	}
	if strconv.IntSize == 64 { // elsewhere % is refused
		tests = append(tests, struct{ exprs, want, failed string }{
			"1 % (id - 3) == 1", "1 5 6",
			`1 object is left out because the expression has no value for it: sem:3: integer divide by zero, at character 3: "% (id - 3) == 1"`,
		})
	}
	for _, tt := range tests {
		got, err := identifiers(sample(), parse(t, strings.Split(tt.exprs, "\n")...))
		said := ""
		if err != nil {
			said = err.Error()
		}
		if got != tt.want || !matches(tt.failed, said) {
			t.Errorf("%s: %q, %q; want %q, %q", tt.exprs, got, said, tt.want, tt.failed)
		}
	}
}

func TestUndecided(t *testing.T) {
	for _, tt := range []struct{ exprs, want string }{
		{"orphan", "5 6"},
		{"!orphan", "5 6"},
		{"orphan\nkind == \"msg\"\nmessages > 0", "6"},
		{"orphan || id > 0", ""},
		{"orphan && id > 5", "6"},
		{"orphan && nattch == 0", ""}, // queues have no attachments
		{"!(orphan || nattch == 0)", ""},
		{"lpid == 7", "1"},
		{"lpid != 7 && orphan", "1"},
		{"otime == nil && orphan", "5 6"},
		{"cpid == lpid", "1 2"},
		{"program == \"PostgreSQL\"", "1 3 4 5 6"},
	} {
		c := parse(t, strings.Split(tt.exprs, "\n")...).Choose(sample(), account.New())
		if got := list(c.Undecided); got != tt.want {
			t.Errorf("%s leaves %q undecided, want %q", tt.exprs, got, tt.want)
		}
	}
}

func TestKinds(t *testing.T) {
	const all, posix = "shm sem msg pshm psem pmsg", "pshm psem pmsg"
	for _, tt := range []struct {
		exprs, kinds, named string
		asksForPOSIX        bool
	}{
		{"orphan", all, "", false},
		{`owner == "shm"`, all, "", false},
		{`owner contains "pmsg" && age > duration("1s")`, all, "", false},
		{`kind == "shm"`, "shm", "shm", true},
		{`"pshm" == kind`, "pshm", "pshm", true},
		{`kind != "sem"`, "shm msg pshm psem pmsg", "", true},
		{`!(kind == "sem")`, "shm msg pshm psem pmsg", "", true},
		{`kind in ["pshm", "pmsg"]`, "pshm pmsg", "pshm pmsg", true},
		{`kind not in ["pshm", "pmsg"]`, "shm sem msg psem", "", true},
		{`kind startsWith "p"`, posix, "", true},
		{`kind == "shm" || kind == "sem" && orphan`, "shm sem", "shm sem", true},
		{`kind == "shm" && kind == "sem"`, "", "", true},
		{`!(kind == "shm" && orphan)`, all, "shm", true},
		{`!(kind == "shm" || orphan)`, "sem msg pshm psem pmsg", "", true},
		{"kind == \"shm\"\nkind != \"pmsg\"", "shm", "shm", true},
		{`name == "/x"`, posix, "", true},
		{`name startsWith "/sem.pshm"`, posix, "", true},
		{`value > 1`, "psem", "", true},
		{`value > 1 || nattch == 0`, "shm psem", "", true},
		{"nattch == 0", "shm", "", false},
		{"nattch == nil", all, "", false},
		{"nattch != nil", "shm", "", false},
		{"nattch == 0 && nsems > 0", "", "", false},
		{"messages > 0", "msg pmsg", "", false},
		{`kind == (orphan ? "shm" : "sem")`, all, "", true},
		{`let k = kind; k == "sem"`, "sem", "", true},
		{`split(kind, "")[3] == "m"`, "shm sem msg pshm psem", "", true}, // a kind stays in if the expression fails for it
	} {
		s := parse(t, strings.Split(tt.exprs, "\n")...)
		if kinds, named := kindsOf(s); kinds != tt.kinds || named != tt.named {
			t.Errorf("%s selects %q and names %q, want %q and %q", tt.exprs, kinds, named, tt.kinds, tt.named)
		}
		if got := s.AsksForPOSIX(); got != tt.asksForPOSIX {
			t.Errorf("%s asks for POSIX objects: %t", tt.exprs, got)
		}
	}
}

// question returns a random expression over three questions, and its value for these
// answers according to Kleene's tables.
func question(r *rand.Rand, depth int, answers [3]truth) (string, truth) {
	if depth == 0 {
		i := r.IntN(3)
		return []string{"orphan", "cpid == 5", "lpid > 5"}[i], answers[i]
	}
	a, x := question(r, r.IntN(depth), answers)
	b, y := question(r, r.IntN(depth), answers)
	switch r.IntN(3) {
	case 0:
		return "!(" + a + ")", yes - x
	case 1:
		return "(" + a + " && " + b + ")", min(x, y)
	default:
		return "(" + a + " or " + b + ")", max(x, y)
	}
}

func TestKleene(t *testing.T) {
	const seed = 1
	for n := range uint64(300) {
		for i := range 27 {
			answers := [3]truth{truth(i % 3), truth(i / 3 % 3), truth(i / 9)}
			expr, want := question(rand.New(rand.NewPCG(seed, n)), 5, answers)
			inv := &inventory.Inventory{Taken: taken, Objects: []inventory.Object{{
				Kind:    ref.Shm,
				Use:     &inventory.Use{Verdict: []inventory.Verdict{inventory.InUse, inventory.Unknown, inventory.Orphan}[answers[0]]},
				Segment: &sysv.SegmentInfo{ID: 1, CPID: []int{6, 0, 5}[answers[1]], LPID: []int{5, 0, 6}[answers[2]]},
			}}}
			got, err := identifiers(inv, parse(t, expr))
			if err != nil || (got == "1") != (want == yes) {
				t.Fatalf("%s with %v selects %q, %v; want %v", expr, answers, got, err, want == yes)
			}
			undecided := list(parse(t, expr).Choose(inv, account.New()).Undecided)
			if (undecided == "1") != (want == maybe) {
				t.Fatalf("%s with %v leaves %q undecided; want %v", expr, answers, undecided, want == maybe)
			}
		}
	}
}

// FuzzParse: no expression selects the same object as its negation does, or an object whose
// mentioned fields are all unknown.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		`kind == "sem" && owner == "www-data" && age > duration("1h") && orphan`, `key == key("0x4d2")`,
		`any(pids, # > 5)`, `nattch == nil`, `let x = nattch; x == 0`, `orphan ? in_use : unused`, `"x" in status`,
		`size > size("1MiB") or not dest`, `$env.id == 1`, `owner matches "^x"`, `{"a": id}.a == 1`, `pids[0:1] == [1]`,
		`if orphan { true } else { false }`, `orphan; true`, `sortBy(pids, -#)[0] == 1`, `ctime.Year() == 2020`, `id..5 == [1]`,
	} {
		f.Add(expr)
	}
	nothing := &inventory.Inventory{Taken: taken, Objects: []inventory.Object{{Kind: ref.Msg, Queue: &sysv.QueueInfo{}}}}
	f.Fuzz(func(t *testing.T, expr string) {
		c, err := Parse(expr)
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(expr, "\n") {
				t.Errorf("%q: an error of several lines: %v", expr, err)
			}
			return
		}
		selected, err := identifiers(sample(), Selection{c})
		if err != nil {
			return
		}
		if negated, err := Parse("!(" + expr + "\n)"); err == nil {
			others, err := identifiers(sample(), Selection{negated})
			for id := range strings.FieldsSeq(others) {
				if err == nil && strings.Contains(" "+selected+" ", " "+id+" ") {
					t.Errorf("%q and its negation select %s", expr, id)
				}
			}
		}
		for _, field := range c.fields {
			if field.Name != "nattch" && field.Name != "orphan" && field.Name != "dest" {
				return
			}
		}
		if got, err := identifiers(nothing, Selection{c}); err == nil && got != "" && !strings.Contains(expr, "nil") {
			t.Errorf("%q selects an object without a known field", expr)
		}
	})
}
