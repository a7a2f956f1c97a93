package snapshot

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

var taken = time.Date(2026, 1, 31, 15, 0, 0, 500, time.UTC)

func header() *Header {
	return &Header{
		Program: "1.2.3", Host: "h\x1b[2Jöst", BootID: "boot", Namespace: 4026531839, PIDNamespace: 1, UserNamespace: 2, ShmDevice: 26,
		Taken: taken, Uptime: 90*time.Minute + 7, UID: 54321, Kinds: ref.Kinds(),
		Selection: Selection{Conditions: []string{`owner == "x"`}, WithMessages: true}, Unseen: []string{"much"},
	}
}

func sample() *inventory.Inventory {
	file := func(name string) posix.FileInfo {
		return posix.FileInfo{Name: name, Size: 100, Ino: 7, ATime: taken, MTime: taken, CTime: taken}
	}
	memory := file("/m\n\xff\"{}")
	use := func(name string) *inventory.Use { return &inventory.Use{Program: &inventory.Program{Name: name}} }
	return &inventory.Inventory{Taken: taken, Objects: []inventory.Object{
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{
			ID: 1, Perm: sysv.Perm{Key: -1, Mode: 0o640}, Size: 1 << 62, NAttch: 2, CPID: 4, CTime: taken, ATime: taken.Add(time.Hour),
		}, Use: use("a\u202eb\x00c")},
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{ID: 2, Size: 4096, CTime: taken}, Use: use("")},
		{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 0, NSems: 3, CTime: taken}, Use: &inventory.Use{}},
		{Kind: ref.Msg, Queue: &sysv.QueueInfo{ID: 1<<31 - 1, QNum: 5, CBytes: 50, CTime: taken, STime: taken}, Use: &inventory.Use{}},
		{Kind: ref.PShm, PShm: &memory, Use: use("p")},
		{Kind: ref.PSem, PSem: &posix.SemaphoreInfo{FileInfo: file("/s")}, Use: &inventory.Use{}},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{FileInfo: file("/q"), Known: true, Bytes: 4, Attributes: posix.Attributes{CurMsgs: 1}}, Use: &inventory.Use{}},
	}}
}

func encode(t testing.TB, h *Header, inv *inventory.Inventory, compress bool) []byte {
	t.Helper()
	write := Write
	if compress {
		write = WriteCompressed
	}
	var b bytes.Buffer
	if err := write(&b, h, inv, account.New()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRoundTrip: what is read is what was written, plain or compressed.
func TestRoundTrip(t *testing.T) {
	for _, compress := range []bool{false, true} {
		want := header()
		s, err := Read(bytes.NewReader(encode(t, want, sample(), compress)), []string{"kind", "name", "owner"})
		if err != nil {
			t.Fatal(err)
		}
		if got := *s.Header; !got.Taken.Equal(want.Taken) || fmt.Sprint(got) != fmt.Sprint(*want) {
			t.Errorf("header %+v, want %+v", got, *want)
		}
		var got []string
		for i := range s.Objects {
			o := &s.Objects[i]
			c := Change{Came, nil, o}
			d := Diff{texts: s.Texts}
			key, keyed := c.Key()
			got = append(got, fmt.Sprintf("%q %v %x %v %v %v %v %v %q %v", o.String(), keyed, key, c.Bytes().After, c.Messages(), c.Attachments().After,
				c.Semaphores().After, c.Created().Equal(taken.Truncate(time.Second)), d.Text(&c, "program").Text, d.Text(&c, "program").Known))
		}
		if want := []string{
			`"shm:1" true ffffffff 4611686018427387904 {0 0 false} 2 0 true "a\u202eb\x00c" true`,
			`"shm:2" true 0 4096 {0 0 false} 0 0 true "" true`,
			`"sem:0" true 0 0 {0 0 false} 0 3 true "" false`,
			`"msg:2147483647" true 0 50 {0 5 true} 0 0 true "" false`,
			`"pshm:/m\n�\"{}" false 0 100 {0 0 false} 0 0 true "p" true`,
			`"psem:/s" false 0 0 {0 0 false} 0 0 true "" false`,
			`"pmsg:/q" false 0 4 {0 1 true} 0 0 true "" false`,
		}; !slices.Equal(got, want) {
			t.Errorf("objects\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestCutShort cuts a snapshot at every byte.
func TestCutShort(t *testing.T) {
	for _, compress := range []bool{false, true} {
		whole := encode(t, header(), sample(), compress)
		end := len(whole)
		if !compress {
			end-- // without its last line end it is complete
		}
		for n := range end {
			_, err := Read(bytes.NewReader(whole[:n]), nil)
			if err == nil || !strings.HasPrefix(err.Error(), "line ") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("compressed %v, %d of %d bytes: %v", compress, n, len(whole), err)
			}
			if n > 20 && !compress && !strings.Contains(err.Error(), "it is cut short") {
				t.Errorf("%d of %d bytes: %v", n, len(whole), err)
			}
		}
	}
}

func TestDamaged(t *testing.T) {
	whole := string(encode(t, header(), sample(), false))
	first, rest, _ := strings.Cut(whole, "\n")
	replace := func(old, by string) string { return strings.Replace(whole, old, by, 1) }
	packed := encode(t, header(), sample(), true)
	packed[len(packed)/2] ^= 0xff
	for _, tt := range []struct{ text, want string }{
		{"", "line 1: it is empty"},
		{"\n", "line 1: this is not a snapshot of gipcs"},
		{"[]\n", "line 1: this is not a snapshot of gipcs"},
		{"\x1f\x8b", "line 1: this is not a snapshot of gipcs"},
		{strings.Repeat("x", longestLine+1), "line 1: this is not a snapshot of gipcs"},
		{`{"gipcs_snapshot":null}` + "\n", "line 1: this is not a snapshot of gipcs"},
		{`{"gipcs_snapshot":2,"host":5}` + "\n", "line 1: it has format version 2, and this gipcs reads version 1"},
		{`{"gipcs_snapshot":0}` + "\n", "line 1: it has format version 0, and this gipcs reads version 1"},
		{rest, "line 1: this is not a snapshot of gipcs"},
		{replace(`"boot_id":"boot"`, `"boot_id":""`), "line 1: the header is damaged: boot_id is missing or wrong"},
		{replace(`"namespace":4026531839`, `"namespace":0`), "line 1: the header is damaged: namespace is missing or wrong"},
		{replace(`"boottime":5400`, `"boottime":-5400`), "line 1: the header is damaged: boottime is missing or wrong"},
		{replace(`"boottime":5400`, `"boottime":1e99,"x":5400`), "line 1: the header is damaged: boottime is missing or wrong"},
		{replace(`"shm","sem"`, `"shm","new"`), "line 1: the header is damaged: kinds is missing or wrong"},
		{replace(`"objects":7`, `"objects":-1`), "line 1: the header is damaged: objects is missing or wrong"},
		{replace(`"objects":7`, `"objects":6`), "line 8: there are more objects than the 6 that the header announces"},
		{replace(`"objects":7`, `"objects":9000000000000000000`), "line 9: it is cut short: there are 7 of 9000000000000000000 objects"},
		{first + "\n" + first + "\n" + rest, "line 2: it has no kind"},
		{replace(`"kind":"sem"`, `"kind":"shem"`), "line 4: its kind is wrong"},
		{replace(`"id":2`, `"id":2147483648`), "line 3: its id is wrong"},
		{replace(`"id":2`, `"id":null`), "line 3: it has no id"},
		{replace(`"inode":7`, `"inode":null`), "line 6: it has no name or no inode"},
		{replace(`"size":4096`, `"size":-4096`), "line 3: its size is wrong"},
		{replace(`"size":4096`, `"size":4096.5`), "line 3: its size is wrong"},
		{replace(`"size":4096`, `"size":04096`), "line 3: it is not a JSON object"},
		{replace(`"key":"0x00000000"`, `"key":"0"`), "line 3: its key is wrong"},
		{replace(`"ctime":"2026`, `"ctime":"soon`), "line 2: its ctime is wrong"},
		{replace(`"program":"a`, `"program":"\x`), "line 2: its program is wrong"},
		{string(packed), "line "},
	} {
		_, err := Read(strings.NewReader(tt.text), nil)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || tt.want != "line " && err.Error() != tt.want {
			t.Errorf("%.60q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

// TestNewerFields: a reader ignores what it does not know.
func TestNewerFields(t *testing.T) {
	whole := string(encode(t, header(), sample(), false))
	more := strings.ReplaceAll(whole, "}\n", ` , "new" : [ {"a":[1,-2.5e+3,true,"\u0041"]} , {} , [] ] }`+"\r\n")
	s, err := Read(strings.NewReader(more), nil)
	if err != nil || len(s.Objects) != len(sample().Objects) {
		t.Fatalf("%v, %v", s, err)
	}
}
