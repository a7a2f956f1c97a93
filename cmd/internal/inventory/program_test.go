package inventory

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

func segment(id int, perm sysv.Perm, size int64) Object {
	return Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{ID: id, Perm: perm, Size: size}, Use: new(Use)}
}

func set(id int, perm sysv.Perm, nsems int) Object {
	return Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: id, Perm: perm, NSems: nsems}, Use: new(Use)}
}

func queue(id int, perm sysv.Perm) Object {
	return Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{ID: id, Perm: perm}, Use: new(Use)}
}

// outline returns the part of a Program that the tables of tests compare.
func outline(p *Program) string {
	switch {
	case p == nil:
		return ""
	case p.Sure:
		return strings.TrimSpace(p.Name + "! " + p.DataDir)
	default:
		return strings.TrimSpace(p.Name + "? " + p.DataDir)
	}
}

func TestProcessHints(t *testing.T) {
	p := func(pid int, comm string) *Process { return &Process{PID: pid, Comm: comm} }
	tests := []struct {
		name string
		use  Use
		want string
		says string
	}{
		{"nobody", Use{}, "", ""},
		{"attached", Use{Attached: []Attacher{{Process: p(5, "postgres")}}}, "PostgreSQL?", "postgres[5] is attached"},
		{"many", Use{Attached: []Attacher{{Process: p(5, "postgres")}, {Process: p(6, "postgres")}, {Process: p(7, "postmaster")}}}, "PostgreSQL?", "postgres[5] is attached, and 2 more of its processes use it"},
		{"once, though it does several things", Use{
			Attached: []Attacher{{Process: p(5, "app")}},
			Actors:   []Actor{{Role: Creator, PID: 5, State: Alive, Process: p(5, "app")}},
		}, "app?", "app[5] is attached"},
		{"waiting", Use{Waiting: []Waiter{{Process: p(5, "httpd")}}}, "Apache httpd?", "httpd[5] waits on it"},
		{"last receiver", Use{Actors: []Actor{{Role: Receiver, PID: 5, State: Alive, Process: p(5, "faked-sysv")}}}, "fakeroot?", "faked-sysv[5] is the last receiver"},
		{"who got the id of a dead one", Use{Actors: []Actor{{Role: Creator, PID: 5, State: Reused, Process: p(5, "postgres")}}}, "", ""},
		{"X11", Use{Attached: []Attacher{{Process: p(5, "firefox")}, {Process: p(6, "Xorg")}}}, "X11 (MIT-SHM)?", "Xorg[6] is attached"},
		{"Zabbix", Use{Attached: []Attacher{{Process: p(5, "zabbix_agentd")}}}, "Zabbix?", "zabbix_agentd[5] is attached"},
		{"Oracle", Use{Attached: []Attacher{{Process: p(5, "ora_pmon_ORCL")}}}, "Oracle Database?", "ora_pmon_ORCL[5] is attached"},
		{"PHP", Use{Attached: []Attacher{{Process: p(5, "php-fpm8.2")}}}, "PHP?", "php-fpm8.2[5] is attached"},
	}
	for _, tt := range tests {
		named, others := processHints(&tt.use)
		got := combine(append(named, others...))
		if outline(got) != tt.want || got != nil && strings.Join(got.Reasons, "; ") != tt.says {
			t.Errorf("%s: %s, want %s: %s", tt.name, dump(got), tt.want, tt.says)
		}
	}
}

func TestKeyHints(t *testing.T) {
	tests := []struct {
		name   string
		object Object
		want   string
	}{
		{"NTP0", segment(1, sysv.Perm{Key: 0x4e545030}, 96), "NTP reference clock (gpsd, chronyd, ntpd)!"},
		{"NTP3 of a 32-bit program", segment(1, sysv.Perm{Key: 0x4e545033}, 80), "NTP reference clock (gpsd, chronyd, ntpd)!"},
		{"NTP0 of another size", segment(1, sysv.Perm{Key: 0x4e545030}, 4096), ""},
		{"GPSD", segment(1, sysv.Perm{Key: 0x47505344}, 20000), "gpsd?"},
		{"a set with that key", set(1, sysv.Perm{Key: 0x4e545030}, 1), ""},
		{"another key", segment(1, sysv.Perm{Key: 0x4e545020}, 96), ""},
	}
	for _, tt := range tests {
		if got := outline(combine(keyHints(&tt.object))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestApacheHint(t *testing.T) {
	mutex := sysv.Perm{UID: 33, Mode: 0o600}
	open, owned, root, keyed := mutex, mutex, mutex, mutex
	open.Mode, owned.CUID, root.UID, keyed.Key = 0o660, 33, 0, 5
	for _, tt := range []struct {
		name   string
		object Object
		want   string
	}{
		{"mutex", set(1, mutex, 1), "Apache httpd?"},
		{"two semaphores", set(1, mutex, 2), ""},
		{"another mode", set(1, open, 1), ""},
		{"made by its owner", set(1, owned, 1), ""},
		{"owned by root", set(1, root, 1), ""},
		{"with a key", set(1, keyed, 1), ""},
		{"a segment", segment(1, mutex, 1), ""},
	} {
		if got := outline(combine(apacheHint(&tt.object))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFakerootHint(t *testing.T) {
	perm := func(key sysv.Key, uid uint32) sysv.Perm { return sysv.Perm{Key: key, UID: uid, CUID: uid, Mode: 0o600} }
	objects := []Object{
		queue(1, perm(100, 1000)), queue(2, perm(101, 1000)), set(3, perm(102, 1000), 1), // as faked makes them
		queue(4, perm(200, 1000)), queue(5, perm(201, 1001)), set(6, perm(202, 1000), 1), // of two owners
		queue(7, perm(300, 1000)), queue(8, perm(301, 1000)), set(9, perm(302, 1000), 2), // two semaphores
		segment(10, perm(100, 1000), 4096), queue(11, perm(102, 1000)), set(12, perm(100, 1000), 1),
	}
	first := fakerootKeys(objects)
	for i := range objects {
		o := &objects[i]
		want := ""
		if o.ID() <= 3 {
			want = "fakeroot?"
		}
		if got := outline(combine(fakerootHint(o, first))); got != want {
			t.Errorf("%v:%d: %q, want %q", o.Kind, o.ID(), got, want)
		}
	}
}

// pgSegment returns the first bytes of a segment as PostgreSQL writes them.
func pgSegment(word int, pid int32, dev, inode uint64) []byte {
	order := binary.NativeEndian
	b := order.AppendUint32(nil, 679834894)
	b = order.AppendUint32(b, uint32(pid))
	if word == 4 {
		b = append(b, make([]byte, 16)...)
		b = order.AppendUint64(b, dev)
		b = order.AppendUint32(b, uint32(inode))
		return append(b, make([]byte, 28)...)
	}
	b = append(b, make([]byte, 32)...)
	b = order.AppendUint64(b, dev)
	b = order.AppendUint64(b, inode)
	return append(b, make([]byte, 8)...)
}

func TestParsePgHeader(t *testing.T) {
	for _, word := range []int{4, 8} {
		b := pgSegment(word, 4242, 0xfe00, 77)
		h, ok := parsePgHeader(b, word)
		if want := (pgHeader{4242, 0xfe00, 77}); !ok || h != want {
			t.Errorf("%d-byte words: %+v, %v", word, h, ok)
		}
		for n := range map[int]int{4: 36, 8: 56}[word] {
			if _, ok := parsePgHeader(b[:n], word); ok {
				t.Errorf("%d-byte words: %d bytes are enough", word, n)
			}
		}
		if _, ok := parsePgHeader(pgSegment(word, -1, 1, 1), word); ok {
			t.Error("a negative pid")
		}
	}
}

func TestContentHints(t *testing.T) {
	const word = strconv.IntSize / 8
	dirs := []dataDir{{path: "/a", dev: 1, inode: 77}, {path: "/b", dev: 0xfe01, inode: 77}}
	tests := []struct {
		name     string
		contents []byte
		want     string
	}{
		{"nothing", nil, ""},
		{"zeros", make([]byte, headerSize), ""},
		{"PostgreSQL of a known directory", pgSegment(word, 5, 0xfe01, 77), "PostgreSQL! /b"},
		{"PostgreSQL of another directory", pgSegment(word, 5, 0xfe02, 77), "PostgreSQL!"},
		{"PHP", append([]byte("PHP_SM\x00\x00"), make([]byte, 56)...), "PHP!"},
		{"nearly PHP", append([]byte("PHP_SMALL"), make([]byte, 55)...), ""},
	}
	for _, tt := range tests {
		if got := outline(combine(contentHints(tt.contents, dirs))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

const postmasterPid = "4242\n/var/lib/postgresql/15/main\n1795248482\n5432\n/tmp\n\n  123456789       32769\nready   \n"

func TestParsePostmaster(t *testing.T) {
	tests := []struct {
		text string
		want postmaster
		ok   bool
	}{
		{postmasterPid, postmaster{4242, 123456789, 32769}, true},
		{strings.Replace(postmasterPid, "4242", "-4242", 1), postmaster{4242, 123456789, 32769}, true}, // single-user
		{strings.Replace(postmasterPid, "123456789", "4294967295", 1), postmaster{4242, -1, 32769}, true},
		{"", postmaster{}, false},
		{"4242\n", postmaster{}, false},
		{strings.Replace(postmasterPid, "4242", "x", 1), postmaster{}, false},
		{strings.Replace(postmasterPid, "4242", "0", 1), postmaster{}, false},
		{strings.Replace(postmasterPid, "  123456789       32769", "", 1), postmaster{}, false}, // no System V segment
		{strings.Replace(postmasterPid, "32769", "-1", 1), postmaster{}, false},
	}
	for _, tt := range tests {
		got, ok := parsePostmaster([]byte(tt.text))
		if ok != tt.ok || got != tt.want {
			t.Errorf("%q: %+v, %v; want %+v, %v", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func TestPostgresHints(t *testing.T) {
	dir := dataDir{path: "/pg", dev: 1, inode: 0x700000055, uid: 101, postmaster: postmaster{4242, 1234, 7}}
	stopped, running := dir, dir
	stopped.postmaster = postmaster{}
	running.pids = []int{4242, 4243}
	perm := sysv.Perm{Key: 1234, CUID: 101, Mode: 0o600}
	private, foreign, byInode := perm, perm, perm
	private.Key, foreign.CUID, byInode.Key = sysv.Private, 102, 0x55
	dest := segment(7, private, 1<<20)
	dest.Segment.Dest = true
	attached := segment(9, private, 1<<20)
	attached.Use.Attached = []Attacher{{Process: &Process{PID: 4243, Comm: "postgres"}}}
	tests := []struct {
		name   string
		object Object
		dir    dataDir
		want   string
	}{
		{"named in postmaster.pid", segment(7, perm, 1<<20), dir, "PostgreSQL! /pg"},
		{"another identifier", segment(8, perm, 1<<20), dir, ""},
		{"the identifier of a removed one", dest, dir, "PostgreSQL! /pg"},
		{"the identifier and another key", segment(7, byInode, 1<<20), stopped, ""},
		{"another user's", segment(7, foreign, 1<<20), dir, ""},
		{"no server", segment(7, perm, 1<<20), stopped, ""},
		{"the inode for a key", segment(8, byInode, 1<<20), dir, "PostgreSQL? /pg"},
		{"attached by a server there", attached, running, "PostgreSQL? /pg"},
		{"attached by a server elsewhere", attached, dir, ""},
		{"the size of the interlock", segment(8, perm, 56), stopped, "PostgreSQL?"},
		{"that size without a key", segment(8, private, 56), stopped, ""},
		{"a set", set(7, perm, 17), dir, ""},
	}
	for _, tt := range tests {
		if got := outline(combine(postgresHints(&tt.object, []dataDir{tt.dir}))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFtokHints(t *testing.T) {
	files := []ftokFile{{"Zabbix", "/etc/zabbix/zabbix_server.conf", 0x010203}}
	for key, want := range map[sysv.Key]string{0x67010203: "Zabbix?", 0x010203: "", 0x67010204: ""} {
		o := segment(1, sysv.Perm{Key: key}, 4096)
		if got := outline(combine(ftokHints(&o, files))); got != want {
			t.Errorf("%v: %q, want %q", key, got, want)
		}
	}
}

func TestCombine(t *testing.T) {
	got := combine([]hint{
		{program: "A", reason: "1"}, {program: "B", sure: true, reason: "2"}, {program: "A", sure: true, reason: "3"}, {program: "B", reason: "4", dataDir: "/d"},
	})
	want := &Program{Name: "B", Sure: true, Reasons: []string{"2", "4"}, DataDir: "/d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDeviceNumbers(t *testing.T) {
	// As makedev(3) of the GNU C library composes them.
	for dev, want := range map[uint64][2]uint64{
		0xfe01: {254, 1}, 0x1000fe01: {254, 0x10001}, 0x100000000005: {0x1000, 5},
	} {
		if got := [2]uint64{major(dev), minor(dev)}; got != want {
			t.Errorf("%#x: %v, want %v", dev, got, want)
		}
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte(postmasterPid))
	f.Add(pgSegment(8, 5, 1, 2))
	f.Add(pgSegment(4, 5, 1, 2))
	f.Add([]byte("PHP_SM\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parsePostmaster(b); ok && (p.pid <= 0 || p.id < 0) {
			t.Errorf("%q: %+v", b, p)
		}
		for _, word := range []int{4, 8} {
			if h, ok := parsePgHeader(b, word); ok && h.creatorPID <= 0 {
				t.Errorf("%q: %+v", b, h)
			}
		}
		_ = contentHints(b, nil)
	})
}
