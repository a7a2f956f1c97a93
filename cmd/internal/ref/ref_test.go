package ref_test

import (
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

func TestParse(t *testing.T) {
	id := func(n int) ref.Ref { return ref.Ref{Form: ref.ByID, ID: n} }
	key := func(k sysv.Key) ref.Ref { return ref.Ref{Form: ref.ByKey, Key: k} }
	name := func(s string) ref.Ref { return ref.Ref{Form: ref.ByName, Name: s} }
	tests := []struct {
		in   string
		want ref.Ref
		err  string // part of the message, or ""
	}{
		{"0", id(0), ""},
		{"65538", id(65538), ""},
		{"id:65538", id(65538), ""},
		{"007", id(7), ""}, // an identifier is decimal, as in listings
		{"2147483647", id(2147483647), ""},

		{"0x000004d2", key(1234), ""},
		{"0X4D2", key(1234), ""},
		{"0xffffffff", key(-1), ""},
		{"key:1234", key(1234), ""},
		{"key:0x4d2", key(1234), ""},
		{"key:02322", key(1234), ""},
		{"key:-1", key(-1), ""},
		{"key:4294967295", key(-1), ""},

		{"/name", name("/name"), ""},
		{"/", name("/"), ""},
		{"/id:7", name("/id:7"), ""},

		{"key:0", ref.Ref{}, "key 0 (IPC_PRIVATE) names no object"},
		{"0x0", ref.Ref{}, "key 0 (IPC_PRIVATE) names no object"},
		{"key:00", ref.Ref{}, "key 0 (IPC_PRIVATE) names no object"},

		{"2147483648", ref.Ref{}, "too big"},
		{"id:99999999999999999999", ref.Ref{}, "too big"},
		{"0x100000000", ref.Ref{}, "does not fit"},
		{"key:4294967296", ref.Ref{}, "does not fit"},
		{"id:", ref.Ref{}, "names no object"},
		{"key:", ref.Ref{}, "names no object"},
		{"ftok:", ref.Ref{}, "names no object"},
		{"", ref.Ref{}, "names no object"},
		{"-1", ref.Ref{}, "names no object"},
		{"+1", ref.Ref{}, "names no object"},
		{" 1", ref.Ref{}, "names no object"},
		{"1 ", ref.Ref{}, "names no object"},
		{"1_0", ref.Ref{}, "names no object"},
		{"12a", ref.Ref{}, "names no object"},
		{"shm:1", ref.Ref{}, "names no object"},
		{"KEY:1", ref.Ref{}, "names no object"},
		{"private", ref.Ref{}, "names no object"},
		{"١", ref.Ref{}, "names no object"},
		{"id:0x1", ref.Ref{}, "invalid identifier"},
		{"id:-1", ref.Ref{}, "invalid identifier"},
		{"id:id:1", ref.Ref{}, "invalid identifier"},
		{"key:1x", ref.Ref{}, "is not a number"},
		{"0x", ref.Ref{}, "is not a number"},
		{"0x1:2", ref.Ref{}, "is not a number"},
		{"ftok:/:0", ref.Ref{}, "neither a number from 1 to 255 nor another single character"},
		{"ftok:/:256", ref.Ref{}, "neither a number from 1 to 255 nor another single character"},
	}
	for _, test := range tests {
		got, err := ref.Parse(test.in)
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("Parse(%q) = %+v, %v, want the error ...%s...", test.in, got, err, test.err)
			}
		case err != nil:
			t.Errorf("Parse(%q): %v", test.in, err)
		case got.Form != test.want.Form || got.ID != test.want.ID || got.Key != test.want.Key || got.Name != test.want.Name:
			t.Errorf("Parse(%q) = %+v, want %+v", test.in, got, test.want)
		case got.String() != test.in:
			t.Errorf("Parse(%q).String() = %q", test.in, got)
		}
	}
}

func TestParseProj(t *testing.T) {
	tests := []struct {
		in   string
		want byte // 0 for an error
	}{
		{"1", 1},
		{"7", 7},
		{"255", 255},
		{"007", 7},
		{"A", 'A'},
		{"z", 'z'},
		{" ", ' '},
		{":", ':'},
		{"-", '-'},
		{"\xff", 0xff},
		{"", 0},
		{"0", 0},
		{"00", 0},
		{"256", 0},
		{"-1", 0},
		{"+1", 0},
		{"ab", 0},
		{"é", 0},
		{"0x1", 0},
		{"99999999999999999999", 0},
	}
	for _, test := range tests {
		got, err := ref.ParseProj(test.in)
		if got != test.want || (err != nil) != (test.want == 0) {
			t.Errorf("ParseProj(%q) = %d, %v, want %d", test.in, got, err, test.want)
		}
	}
}

func TestParseKind(t *testing.T) {
	tests := []struct {
		in   string
		kind ref.Kind
		want string // the Ref, or "" for an error
	}{
		{"shm:65538", ref.Shm, "65538"},
		{"sem:0x4d2", ref.Sem, "0x4d2"},
		{"msg:key:7", ref.Msg, "key:7"},
		{"shm:id:7", ref.Shm, "id:7"},
		{"pshm:/name", ref.PShm, "/name"},
		{"psem:/a b\x1b", ref.PSem, "/a b\x1b"},
		{"pmsg:/0x4d2", ref.PMsg, "/0x4d2"},
		{"pshm:/" + strings.Repeat("n", 255), ref.PShm, "/" + strings.Repeat("n", 255)},
		{"pshm:/" + strings.Repeat("n", 256), 0, ""},
		{"psem:/" + strings.Repeat("n", 251), ref.PSem, "/" + strings.Repeat("n", 251)},
		{"psem:/" + strings.Repeat("n", 252), 0, ""},
		{"psem:/..", ref.PSem, "/.."},
		{"pshm:/..", 0, ""},
		{"pshm:/", 0, ""},
		{"pshm:/a/b", 0, ""},
		{"pshm://a", 0, ""},
		{"pshm:name", 0, ""},
		{"psem:7", 0, ""},
		{"pmsg:0x4d2", 0, ""},
		{"shm:/name", 0, ""},
		{"7", 0, ""},
		{"shm", 0, ""},
		{"shm:", 0, ""},
		{"SHM:7", 0, ""},
		{"shmem:7", 0, ""},
		{"shm:sem:7", 0, ""},
		{"key:7", 0, ""},
		{"", 0, ""},
	}
	for _, test := range tests {
		kind, r, err := ref.ParseKind(test.in)
		if kind != test.kind || r.String() != test.want || (err != nil) != (test.want == "") {
			t.Errorf("ParseKind(%q) = %v, %q, %v, want %v, %q", test.in, kind, r, err, test.kind, test.want)
		}
	}
}

func TestObject(t *testing.T) {
	for _, kind := range ref.Kinds() {
		o := ref.Object{Kind: kind, ID: 7}
		if kind.POSIX() {
			o = ref.Object{Kind: kind, Name: "/a:b"}
		}
		got, r, err := ref.ParseKind(o.String())
		if err != nil || got != kind || (r.ID != o.ID || r.Name != o.Name) {
			t.Errorf("%v is read as %v, %+v, %v", o, got, r, err)
		}
	}
}

// FuzzParse: the result is a key, an identifier or a name, and its plainest form parses to
// the same result.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "id:1", "0x1", "key:-1", "key:0777", "/a", "ftok:/:1", "ftok:/tmp:", "key:0", "", "id:9999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ref.Parse(s)
		if err != nil {
			if r != (ref.Ref{}) || err.Error() == "" {
				t.Errorf("Parse(%q) = %+v, %v", s, r, err)
			}
			return
		}
		if r.String() != s || r.ID < 0 {
			t.Errorf("Parse(%q) = %+v", s, r)
		}
		if r.Form == ref.ByKey {
			if r.Key == sysv.Private {
				t.Errorf("Parse(%q) is key 0", s)
			}
			again, err := ref.Parse(r.Key.String())
			if err != nil || again.Key != r.Key {
				t.Errorf("Parse(%v) = %+v, %v", r.Key, again, err)
			}
		}
	})
}
