package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func nextID(t testing.TB, kind ref.Kind) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/" + kind.String() + "_next_id")
	check(t, err)
	return strings.TrimSpace(string(b))
}

func TestRoundTrip(t *testing.T) {
	makeAll(t)
	want := dump(t)
	s := newStore(t)
	calls := 0
	s.Progress = func(string, int64, int64) { calls++ }
	check(t, saveAll(s, true))
	if left := dump(t); len(left) != 0 {
		t.Fatalf("%v was not removed", left)
	}
	made, err := restoreAll(s)
	check(t, err)
	if got := dump(t); made != len(want) || !maps.Equal(got, want) {
		t.Errorf("made %d:\n%v, want\n%v", made, got, want)
	}
	for _, kind := range kinds {
		if id := nextID(t, kind); id != "-1" {
			t.Errorf("%v_next_id is %s", kind, id)
		}
	}
	if calls == 0 {
		t.Error("no progress")
	}
	if made, err := restoreAll(s); made != 0 || err != nil {
		t.Errorf("again: made %d, %v", made, err)
	}
	files, err := os.ReadDir(s.dir)
	check(t, err)
	for _, f := range files {
		info, err := f.Info()
		check(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
		if st := info.Sys().(*syscall.Stat_t); info.Size() > 1<<20 && st.Blocks*512 > 64<<10 {
			t.Errorf("%s takes %d bytes: it has no holes", f.Name(), st.Blocks*512)
		}
	}
	wantError(t, "Save again", saveAll(s, false), "; choose another directory")
	if _, err := Open(s.dir); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("Open of a backup in use: %v", err)
	}
}

// saved makes an object of each kind, saves and removes them, and returns the backup.
func saved(t *testing.T) (*Store, []*Entry) {
	t.Helper()
	me := sysv.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o600}
	makeSegment(t, 1, 100, false, me, map[int64]string{5: "text"})
	makeSet(t, 2, true, me, 1, 2)
	makeQueue(t, 3, 1000, me, Message{1, []byte("m")})
	s := newStore(t)
	check(t, saveAll(s, true))
	entries, fragments, err := s.Entries()
	check(t, err)
	if len(entries) != 3 || len(fragments) != 0 {
		t.Fatalf("%v, fragments %v", entries, fragments)
	}
	t.Cleanup(func() { removeAll(t) })
	return s, entries
}

func TestDamage(t *testing.T) {
	s, _ := saved(t)
	files, err := os.ReadDir(s.dir)
	check(t, err)
	for _, file := range files {
		name := filepath.Join(s.dir, file.Name())
		good, err := os.ReadFile(name)
		check(t, err)
		try := func(what string, bad []byte) {
			t.Helper()
			check(t, os.WriteFile(name, bad, 0o600))
			if _, err := restoreAll(s); err == nil || len(dump(t)) > 0 {
				t.Fatalf("%s %s: error %v, made %v", file.Name(), what, err, dump(t))
			}
		}
		for i := range good {
			for _, bit := range []byte{1, 0x20, 0x80} {
				bad := append([]byte(nil), good...)
				bad[i] ^= bit
				try(fmt.Sprintf("byte %d xor %#x", i, bit), bad)
			}
			if i%7 == 0 {
				try("truncated", good[:i])
			}
		}
		try("longer", append(good[:len(good):len(good)], ' '))
		check(t, os.WriteFile(name, good, 0o600))
	}
	data, err := filepath.Glob(s.dir + "/*.data")
	check(t, err)
	check(t, os.Remove(data[0]))
	_, err = restoreAll(s)
	wantError(t, "no .data", err, "has no contents")
}

func TestFragments(t *testing.T) {
	s, entries := saved(t)
	json := entries[0].name() + ".json" // of the segment
	for _, name := range []string{"msg-5.json.part", "sem-77.json.part", "notes", "shm-x.data", "shm-9.restored"} {
		check(t, os.WriteFile(filepath.Join(s.dir, name), nil, 0o600))
	}
	for _, e := range entries {
		if e.Segment != nil {
			json = e.name()
		}
	}
	check(t, os.Rename(filepath.Join(s.dir, json+".json"), filepath.Join(s.dir, json+".json.part")))
	entries, fragments, err := s.Entries()
	check(t, err)
	if got, want := fmt.Sprint(fragments), fmt.Sprintf("[msg-5.json.part sem-77.json.part %s.data %s.json.part]", json, json); len(entries) != 2 || len(fragments) != 4 {
		t.Errorf("fragments %s, want %s", got, want)
	}
}

func TestForeignFiles(t *testing.T) {
	s, entries := saved(t)
	for _, e := range entries {
		suffixes := []string{".json"}
		if e.Segment != nil {
			suffixes = append(suffixes, ".data")
		}
		for _, suffix := range suffixes {
			name := filepath.Join(s.dir, e.name()+suffix)
			outside := filepath.Join(t.TempDir(), "file")
			check(t, os.Rename(name, outside))
			for what, plant := range map[string]func() error{
				"link":        func() error { return os.Symlink(outside, name) },
				"inside link": func() error { return os.Symlink(filepath.Base(name), name) },
				"fifo":        func() error { return unix.Mkfifo(name, 0o600) },
				"device":      func() error { return unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
				"directory":   func() error { return os.Mkdir(name, 0o700) },
			} {
				if err := plant(); errors.Is(err, fs.ErrPermission) {
					continue
				}
				_, err := restoreAll(s)
				wantError(t, what, err, "is not a regular file that you own")
				check(t, os.Remove(name))
			}
			check(t, os.Rename(outside, name))
			if several() {
				check(t, os.Chown(name, 65534, 0))
				_, err := restoreAll(s)
				wantError(t, "owner", err, "is not a regular file that you own")
				check(t, os.Chown(name, os.Geteuid(), 0))
			}
		}
		from, to := filepath.Join(s.dir, e.name()+".json"), filepath.Join(s.dir, e.Kind+"-0"+fmt.Sprint(e.ID)+".json")
		check(t, os.Link(from, to))
		_, err := restoreAll(s)
		wantError(t, "second name", err, "which is not what its name says")
		check(t, os.Remove(to))
	}
	if left := dump(t); len(left) != 0 {
		t.Errorf("made %v", left)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	for mode, want := range map[fs.FileMode]string{0o750: "not safe", 0o702: "not safe", 0o704: "not safe"} {
		check(t, os.Chmod(dir, mode))
		_, err := Create(dir)
		wantError(t, mode.String(), err, want)
	}
	check(t, os.Chmod(dir, 0o700))
	check(t, os.Symlink(dir, dir+"/link"))
	_, err := Open(dir + "/link")
	wantError(t, "link", err, "is not a directory")
	_, err = Open(dir + "/none")
	wantError(t, "none", err, "no such file")
	_, err = Create(dir + "/none/none")
	wantError(t, "no parent", err, "no such file")
	if several() {
		check(t, os.Chown(dir, 65534, -1))
		_, err = Open(dir)
		wantError(t, "owner", err, "not safe")
		check(t, os.Chown(dir, 0, -1))
	}
	s, err := Open(dir)
	check(t, err)
	check(t, s.Close())
	// Only an empty directory is removed, and only by the Store that made it.
	made, empty := dir+"/made", dir+"/empty"
	check(t, os.Mkdir(empty, 0o700))
	for what, test := range map[string]struct {
		dir   string
		holds string
		want  error
	}{
		"made, empty": {made, "", fs.ErrNotExist},
		"made, full":  {made, "file", nil},
		"found":       {empty, "", nil},
	} {
		s, err := Create(test.dir)
		check(t, err)
		if test.holds != "" {
			check(t, os.WriteFile(filepath.Join(test.dir, test.holds), nil, 0o600))
		}
		check(t, s.Close())
		if _, err := os.Stat(test.dir); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", what, err, test.want)
		}
		if test.dir == made {
			check(t, os.RemoveAll(made))
		}
	}
	for _, kind := range kinds {
		s := newStore(t)
		_, err := s.Save(t.Context(), ref.Object{Kind: kind, ID: math.MaxInt32})
		wantError(t, "Save of none", err, "cannot be saved")
	}
}

// TestHostile writes invalid entries with valid checksums.
func TestHostile(t *testing.T) {
	s := newStore(t)
	for _, test := range []struct{ fields, want string }{
		{`"kind":"shm","id":5,"segment":{"size":-1}`, "a segment of -1 bytes"},
		{`"kind":"shm","id":5,"segment":{"size":0}`, "a segment of 0 bytes"},
		{`"kind":"shm","id":5,"segment":{"size":9223372036854775807}`, "has no contents"},
		{`"kind":"shm","id":5,"segment":{"size":9223372036854775808}`, "is invalid"},
		{`"kind":"shm","id":5,"set":{"values":[1]}`, "the fields of another kind"},
		{`"kind":"shm","id":5,"segment":{"size":1},"set":{"values":[1]}`, "the fields of another kind"},
		{`"kind":"../x","id":5,"segment":{"size":1}`, "the fields of another kind"},
		{`"kind":"sem","id":5`, "the fields of another kind"},
		{`"kind":"sem","id":-5,"set":{"values":[1]}`, "identifier -5"},
		{`"kind":"sem","id":6,"set":{"values":[1]}`, "which is not what its name says"},
		{`"kind":"sem","id":2147483648,"set":{"values":[1]}`, ""},
		{`"kind":"sem","id":5,"set":{"values":[]}`, "no semaphores"},
		{`"kind":"sem","id":5,"set":{"values":[32768]}`, "has value 32768"},
		{`"kind":"sem","id":5,"set":{"values":[-1]}`, "is invalid"},
		{`"kind":"sem","id":5,"mode":512,"set":{"values":[1]}`, "mode 01000"},
		{`"kind":"sem","id":5,"uid":4294967295,"set":{"values":[1]}`, "uid 4294967295"},
		{`"kind":"sem","id":5,"gid":-1,"set":{"values":[1]}`, "is invalid"},
		{`"kind":"msg","id":5,"queue":{"qbytes":2147483648}`, "a queue of 2147483648 bytes"},
		{`"kind":"msg","id":5,"queue":{"qbytes":9,"messages":[{"type":0}]}`, "message 0 has type 0"},
		{`"kind":"msg","id":5,"queue":{"qbytes":9,"messages":[{"type":-3}]}`, "message 0 has type -3"},
		{`"kind":"msg","id":5,"version":3,"queue":{"qbytes":9}`, "has version 3"},
		{`"kind":"msg"}}`, "is invalid"},
	} {
		kind := test.fields[len(`"kind":"`):][:3]
		if kind == "../" {
			kind = "shm"
		}
		name := filepath.Join(s.dir, kind+"-5.json")
		check(t, os.WriteFile(name, frame([]byte(`{"version":1,`+test.fields+`}`)), 0o600))
		_, err := restoreAll(s)
		wantError(t, test.fields, err, test.want)
		if left := dump(t); len(left) > 0 {
			t.Fatalf("%s: made %v", test.fields, left)
		}
		_ = os.Remove(name)
	}
}

func TestTakenKey(t *testing.T) {
	s, entries := saved(t)
	me := sysv.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o600}
	makeSegment(t, 1, 50, false, me, nil)
	makeSet(t, 2, true, me, 1)
	makeQueue(t, 3, 5, me)
	before := dump(t)
	for _, e := range entries {
		if _, made, err := s.Restore(e); made || !errors.Is(err, fs.ErrExist) {
			t.Errorf("%v: made %v, %v, want %v", e, made, err, fs.ErrExist)
		}
		if id := nextID(t, e.kind()); id != "-1" {
			t.Errorf("%s_next_id is %s after a failure", e.Kind, id)
		}
	}
	if after := dump(t); !maps.Equal(before, after) {
		t.Errorf("%v, want %v", after, before)
	}
	wantNotes(t, s, 0)
}

func wantNotes(t *testing.T, s *Store, want int) {
	t.Helper()
	if notes, err := filepath.Glob(s.dir + "/*.restored*"); len(notes) != want || err != nil {
		t.Errorf("notes %v, %v, want %d", notes, err, want)
	}
}

// TestTakenPlace restores objects whose slot in the kernel's table is taken, but not
// their identifier.
func TestTakenPlace(t *testing.T) {
	s, entries := saved(t)
	for _, e := range entries {
		check(t, os.WriteFile("/proc/sys/kernel/"+e.Kind+"_next_id", []byte(fmt.Sprint(e.ID+3<<15)), 0))
		_, err := createEmpty(e.kind())
		check(t, err)
		// A process that was killed left the choice of an identifier.
		check(t, os.WriteFile("/proc/sys/kernel/"+e.Kind+"_next_id", []byte(fmt.Sprint(e.ID)), 0))
		for _, want := range []bool{true, false} {
			id, made, err := s.Restore(e)
			if err != nil || made != want || id == e.ID {
				t.Errorf("%v: %d, %v, %v, want made %v under another identifier", e, id, made, err, want)
			}
			if id := nextID(t, e.kind()); id != "-1" {
				t.Errorf("%s_next_id is %s", e.Kind, id)
			}
		}
	}
}

// TestLastPlace restores an object whose slot is the last of the table and is taken. If
// asked for that slot, the kernel would make an object past the end, without an identifier.
func TestLastPlace(t *testing.T) {
	const last = 1<<15 - 1
	t.Cleanup(func() { removeAll(t) })
	s := newStore(t)
	choose := func(id int) sysv.Set {
		check(t, os.WriteFile("/proc/sys/kernel/sem_next_id", []byte(fmt.Sprint(id)), 0))
		set, err := createEmpty(ref.Sem)
		check(t, err)
		if set != id {
			t.Skipf("the identifier is %d, not %d: another size of table", set, id)
		}
		return sysv.Set(set)
	}
	set := choose(last)
	check(t, saveOne(s, ref.Object{Kind: ref.Sem, ID: int(set)}, true, func(ref.Object) error { return set.Remove() }))
	choose(last + 1<<15)
	if made, err := restoreAll(s); made != 1 || err != nil {
		t.Errorf("made %d, %v", made, err)
	}
	if all := dump(t); len(all) != 2 {
		t.Errorf("there are %v", all)
	}
}

// TestRoom restores a queue that holds more than msgmnb now allows, which takes
// CAP_SYS_RESOURCE.
func TestRoom(t *testing.T) {
	s, entries := saved(t)
	sysctl(t, "msgmnb", "0")
	probe, err := createEmpty(ref.Msg)
	check(t, err)
	capable := sysv.Queue(probe).SetOwnership(sysv.Ownership{}, 1)
	check(t, remove(ref.Msg, probe))
	for _, e := range entries {
		if e.Queue == nil {
			continue
		}
		if _, made, err := s.Restore(e); made != (capable == nil) || !made && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("made %v, %v; may raise a queue's limit: %v", made, err, capable)
		}
		if n := len(dump(t)); (n > 0) != (capable == nil) {
			t.Errorf("there are %d objects", n)
		}
	}
}

func sysctl(t *testing.T, name, value string) {
	t.Helper()
	name = "/proc/sys/kernel/" + name
	old, err := os.ReadFile(name)
	check(t, err)
	check(t, os.WriteFile(name, []byte(value), 0))
	t.Cleanup(func() { check(t, os.WriteFile(name, old, 0)) })
}

func TestFailsHalfWay(t *testing.T) {
	s, entries := saved(t)
	sysctl(t, "sem", "250 32000 1 128") // markReady needs two operations
	sysctl(t, "msgmax", "0")
	data, err := filepath.Glob(s.dir + "/*.data")
	check(t, err)
	check(t, os.WriteFile(data[0], make([]byte, 100), 0o600))
	want := map[string]string{"shm": "a different size or checksum", "sem": "argument list too long", "msg": "message 1 of 1"}
	for _, e := range entries {
		_, made, err := s.Restore(e)
		wantError(t, e.String(), err, want[e.Kind])
		if made {
			t.Error("made")
		}
	}
	if left := dump(t); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	wantNotes(t, s, 0)
	check(t, os.WriteFile(filepath.Join(s.dir, entries[0].name()+".json"), frame([]byte(`{}`)), 0o600))
	_, _, err = s.Restore(entries[0])
	wantError(t, "replaced", err, "has version 0")
}

func TestHalfMade(t *testing.T) {
	s, entries := saved(t)
	for _, noted := range []bool{false, true} {
		for _, e := range entries {
			check(t, s.note(e, attempt{ID: -1}))
			id, err := create(e)
			check(t, err)
			if noted {
				check(t, s.note(e, attempt{ID: id}))
			}
			if _, made, err := s.Restore(e); !made || err != nil {
				t.Errorf("%v: made %v, %v", e, made, err)
			}
		}
		if now := dump(t); len(now) != 3 {
			t.Errorf("%v", now)
		}
		removeAll(t)
	}
	// A note of another namespace or an earlier boot is ignored.
	content, err := json.Marshal(attempt{Where: "elsewhere", ID: entries[0].ID})
	check(t, err)
	name := filepath.Join(s.dir, entries[0].name()+attemptSuffix)
	check(t, os.WriteFile(name, content, 0o600))
	if a, err := s.lastAttempt(entries[0]); a != nil || err != nil {
		t.Errorf("a note from elsewhere: %v, %v", a, err)
	}
	if made, err := restoreAll(s); made != 3 || err != nil {
		t.Errorf("made %d, %v", made, err)
	}
	removeAll(t)
	check(t, os.WriteFile(name, []byte("{"), 0o600))
	_, _, err = s.Restore(entries[0])
	wantError(t, "a damaged note", err, "is damaged")
}

func TestOrdinaryUser(t *testing.T) {
	if !several() {
		t.Skip("needs two users")
	}
	dir := t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	check(t, os.Chown(dir, 65534, 65534))
	if got := ipctest.Start(t, "cycle", nobody, dir).Wait(); got != "[4 5] 65534 true\n" {
		t.Errorf("%q", got)
	}
}

// TestShut: a process was killed between shutting an object and removing it.
func TestShut(t *testing.T) {
	t.Cleanup(func() { removeAll(t) })
	me := sysv.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o664}
	makeSet(t, 2, true, me, 1, 2)
	makeQueue(t, 3, 1000, me, Message{1, []byte("m")})
	before := dump(t)
	s := newStore(t)
	for _, kind := range []ref.Kind{ref.Sem, ref.Msg} {
		for o, err := range objects(kind) {
			check(t, err)
			saved, err := s.Save(t.Context(), ref.Object{Kind: kind, ID: o.id})
			check(t, err)
			check(t, saved.Check())
		}
	}
	if shut := dump(t); maps.Equal(before, shut) {
		t.Errorf("nothing is shut: %v", shut)
	}
	for range 2 {
		if made, err := restoreAll(s); made != 0 || err != nil {
			t.Errorf("made %d, %v", made, err)
		}
		if after := dump(t); !maps.Equal(before, after) {
			t.Errorf("%v, want %v", after, before)
		}
		awaitSecond(t) // timestamps are whole seconds
	}
}

// awaitSecond waits until the kernel's clock shows another second.
func awaitSecond(t *testing.T) {
	t.Helper()
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
}

func FuzzDecode(f *testing.F) {
	for _, e := range []*Entry{
		{Version: 1, Kind: "shm", Segment: &Segment{Size: 1}},
		{Version: 1, Kind: "sem", Set: &Set{Values: []uint16{1}}},
		{Version: 1, Kind: "msg", Queue: &Queue{Messages: []Message{{1, nil}}}},
		{Version: 1, Kind: "pshm", Name: []byte("/x"), File: &File{}, Segment: &Segment{}},
		{Version: 1, Kind: "psem", Name: []byte("/x"), File: &File{}, Semaphore: &Semaphore{Value: 1}},
		{Version: 1, Kind: "pmsg", Name: []byte("/x"), File: &File{}, MQueue: &MQueue{1, 1}},
	} {
		content, err := json.Marshal(e)
		check(f, err)
		f.Add(content, true)
		f.Add(frame(content), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, framed bool) {
		if framed {
			b = frame(b)
		}
		e, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(e)
		check(t, err)
		if _, err := decode(again); err != nil || e.ID < 0 || strings.Contains(e.name(), "/") {
			t.Errorf("%+v: %v", e, err)
		}
	})
}
