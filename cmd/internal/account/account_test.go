package account

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePasswd(t *testing.T) {
	const text = `root:x:0:0:root:/root:/bin/bash
# comment:x:1:1::/:
  blank:x:2:2::/:

+nis:x:3:3::/:
-nis:x:4:4::/:
:x:5:5::/:
nofields
noid:x
noid:x:
noid:x:y:0::/:
nogid:x:6:y::/:
negative:x:-1:0::/:
big:x:4294967296:0::/:
short:x:7:7
highest:x:4294967295:0::/:
root2:x:0:0::/:
last:x:8:8::/:`
	type entry struct {
		ID   uint32
		Name string
	}
	var got []entry
	if err := ParsePasswd(strings.NewReader(text), func(id uint32, name string) { got = append(got, entry{id, name}) }); err != nil {
		t.Fatal(err)
	}
	want := []entry{{0, "root"}, {2, "blank"}, {7, "short"}, {4294967295, "highest"}, {0, "root2"}, {8, "last"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParsePasswd (-want +got)\n%s", diff)
	}
}

func TestParseGroup(t *testing.T) {
	members := strings.Repeat("member,", 50000)
	var got []string
	err := ParseGroup(strings.NewReader("root:x:0:\nmany:x:5:"+members+"\nshort:x:6\nno:x\n"), func(id uint32, name string) {
		got = append(got, strconv.Itoa(int(id))+name)
	})
	if want := []string{"0root", "5many", "6short"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseGroup: %v, %v; want %v", got, err, want)
	}
}

func TestParseSources(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"passwd: files", []string{"files"}},
		{"# passwd: ldap\n passwd :\tfiles  systemd # more\ngroup: ldap\n", []string{"files", "systemd"}},
		{"passwd: sss [NOTFOUND=return SUCCESS=continue] files [!UNAVAIL=return]", []string{"sss", "files"}},
		{"passwd: files [unfinished ldap", []string{"files"}},
		{"passwd:\n", []string{}},
		{"passwd ldap\n", nil},
		{"passwd: ldap\npasswd: files\n", []string{"files"}},
	} {
		got, err := ParseSources(strings.NewReader(tt.text), "passwd")
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("ParseSources(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

// testDirectory returns a Directory with a passwd file and a getent that records its
// calls.
func testDirectory(t *testing.T) (d *Directory, calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	log := filepath.Join(dir, "log")
	write("getent", `#!/bin/sh
echo "$*" >> `+log+`
shift
for id; do case $id in 70|71) echo "slow$id:x:$id:$id::/:";; slow80|SLOW80) echo "slow80:x:80:80::/:";; esac; done
exit 2
`, 0o755)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	d = New()
	d.users.path = write("passwd", "root:x:0:0::/:\nfirst:x:5:5::/:\nsecond:x:5:5::/:\n", 0o644)
	d.users.sources = write("nsswitch.conf", "passwd: files slow\n", 0o644)
	return d, func() []string {
		text, err := os.ReadFile(log)
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
}

func TestDirectory(t *testing.T) {
	d, calls := testDirectory(t)
	for _, id := range []uint32{0, 70, 70, 5, 71, 72, 4294967295} {
		d.ExpectUser(id)
	}
	if got := calls(); got != nil {
		t.Errorf("asked too early: %v", got)
	}
	for range 2 {
		for id, want := range map[uint32]string{0: "root", 5: "first", 70: "slow70", 71: "slow71", 72: "72", 4294967295: "4294967295"} {
			if got := d.UserOrID(id); got != want {
				t.Errorf("UserOrID(%d) = %q, want %q", id, got, want)
			}
		}
	}
	if name, ok := d.User(72); ok || name != "" {
		t.Errorf("User(72) = %q, %t", name, ok)
	}
	got := calls()
	if len(got) != 1 || len(strings.Fields(got[0])) != 5 {
		t.Errorf("getent was called with %q, want once with passwd and four ids", got)
	}
	d.ExpectUser(73)
	d.User(74)
	if got := calls(); len(got) != 2 || len(strings.Fields(got[1])) != 3 {
		t.Errorf("getent was called with %q, want the second time with passwd and two ids", got)
	}
}

// TestFilesAlone: without another source, getent is not called.
func TestFilesAlone(t *testing.T) {
	d, calls := testDirectory(t)
	for _, sources := range []string{"passwd: files\n", "group: files ldap\n", ""} {
		if err := os.WriteFile(d.users.sources, []byte(sources), 0o644); err != nil {
			t.Fatal(err)
		}
		d.users.names, d.users.read, d.users.lastValid = nil, false, false
		if got := d.UserOrID(70); got != "70" || calls() != nil {
			t.Errorf("with %q: UserOrID(70) = %q, calls %v", sources, got, calls())
		}
	}
}

func TestIDs(t *testing.T) {
	d, calls := testDirectory(t)
	for name, want := range map[string]uint32{"root": 0, "first": 5, "second": 5} {
		if got, ok := d.UserID(name); got != want || !ok {
			t.Errorf("UserID(%q) = %d, %t; want %d", name, got, ok, want)
		}
	}
	if got := calls(); got != nil {
		t.Errorf("getent was called with %q for a name in the file", got)
	}
	// getent would take the first of these for a number, and find it.
	for _, name := range []string{"70", " +70", "nobody else", "", "-1"} {
		if got, ok := d.UserID(name); ok {
			t.Errorf("UserID(%q) = %d, want none", name, got)
		}
	}
	for _, name := range []string{"slow80", "SLOW80"} {
		if got, ok := d.UserID(name); got != 80 || !ok {
			t.Errorf("UserID(%s) = %d, %t; want 80", name, got, ok)
		}
	}
	if got, want := calls(), []string{"passwd nobody else", "passwd slow80", "passwd SLOW80"}; !slices.Equal(got, want) {
		t.Errorf("getent was called with %q, want %q", got, want)
	}
	d.users.sources = filepath.Join(t.TempDir(), "none")
	if _, ok := d.UserID("slow70"); ok || len(calls()) != 3 {
		t.Errorf("UserID asks sources that do not exist: %q", calls())
	}
}

func FuzzParse(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n")
	f.Add("a:b:c\n+::::\n:::\nx:x:4294967295:4294967295")
	f.Fuzz(func(t *testing.T, text string) {
		check := func(id uint32, name string) {
			if name == "" || strings.ContainsAny(name, ":\n") || !strings.Contains(text, name) {
				t.Fatalf("name %q of %d from %q", name, id, text)
			}
		}
		_ = ParsePasswd(strings.NewReader(text), check)
		_ = ParseGroup(strings.NewReader(text), check)
		sources, _ := ParseSources(strings.NewReader(text), "passwd")
		for _, s := range sources {
			if strings.ContainsAny(s, " \t\n[#") {
				t.Fatalf("source %q from %q", s, text)
			}
		}
	})
}

func BenchmarkUser(b *testing.B) {
	d := New()
	d.User(0)
	for i := 0; b.Loop(); i++ {
		d.ExpectUser(uint32(i >> 3 & 3))
		d.User(uint32(i >> 3 & 3))
	}
}
