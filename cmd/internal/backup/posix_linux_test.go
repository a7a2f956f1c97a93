package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func own(mode fs.FileMode) sysv.Ownership {
	return sysv.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: mode}
}

// makeNamed makes a POSIX object of each kind.
func makeNamed(t *testing.T, name string) {
	t.Helper()
	makeObject(t, name, 100, own(0o600), map[int64]string{5: "text"})
	makeSemaphore(t, name, 3, own(0o600))
	makePOSIXQueue(t, name, own(0o600))
}

// savedPOSIX returns a store with a POSIX object of each kind, saved and removed.
func savedPOSIX(t *testing.T, name string) (*Store, []*Entry) {
	t.Helper()
	makeNamed(t, name)
	t.Cleanup(func() { removeAll(t) })
	s := newStore(t)
	check(t, saveAll(s, true))
	entries, fragments, err := s.Entries()
	check(t, err)
	if len(entries) != 3 || len(fragments) != 0 {
		t.Fatalf("%v, fragments %v", entries, fragments)
	}
	return s, entries
}

// TestTakenName restores objects whose names have been taken.
func TestTakenName(t *testing.T) {
	s, entries := savedPOSIX(t, "/x")
	makeNamed(t, "/x")
	before := dump(t)
	for _, e := range entries {
		_, made, err := s.Restore(e)
		if made || !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), e.kind().Noun()+" /x exists already") {
			t.Errorf("%v: made %v, %v", e, made, err)
		}
	}
	if after := dump(t); !maps.Equal(before, after) {
		t.Errorf("%v, want %v", after, before)
	}
	wantNotes(t, s, 0)
}

// TestNotRemoved restores objects that were saved but not removed.
func TestNotRemoved(t *testing.T) {
	makeNamed(t, "/x")
	t.Cleanup(func() { removeAll(t) })
	s := newStore(t)
	check(t, saveAll(s, false))
	before := dump(t)
	if made, err := restoreAll(s); made != 0 || err != nil {
		t.Errorf("made %d, %v", made, err)
	}
	if after := dump(t); !maps.Equal(before, after) {
		t.Errorf("%v, want %v", after, before)
	}
}

// TestHalfMadeQueue: a restore was killed before the queue was ready, before or after
// it noted the queue's inode.
func TestHalfMadeQueue(t *testing.T) {
	for _, noted := range []bool{false, true} {
		s, entries := savedPOSIX(t, "/x")
		for _, e := range entries {
			if e.MQueue == nil {
				continue
			}
			check(t, s.note(e, attempt{ID: -1}))
			q, err := posix.CreateQueue("/x", &posix.QueueOptions{Mode: unreadyQueue(e)})
			check(t, err)
			if noted {
				info, err := q.Stat()
				check(t, err)
				check(t, s.note(e, attempt{ID: -1, Dev: info.Dev, Ino: info.Ino}))
			}
			check(t, q.Close())
			if _, made, err := s.Restore(e); !made || err != nil {
				t.Errorf("noted %v: made %v, %v", noted, made, err)
			}
			info, err := posix.StatQueue("/x")
			check(t, err)
			if info.Mode != 0o600 || info.MaxMsgs != 3 || info.MsgSize != 100 {
				t.Errorf("noted %v: %+v", noted, info)
			}
		}
		removeAll(t)
	}
	// A queue that Restore did not make is left alone.
	s, entries := savedPOSIX(t, "/x")
	q, err := posix.CreateQueue("/x", &posix.QueueOptions{Mode: 0o100})
	check(t, err)
	check(t, q.Close())
	for _, e := range entries {
		if _, made, err := s.Restore(e); e.MQueue != nil && (made || !errors.Is(err, fs.ErrExist)) {
			t.Errorf("made %v, %v", made, err)
		}
	}
}

// TestNotSaved: Save names the reason if it cannot save an object, and leaves nothing.
func TestNotSaved(t *testing.T) {
	makeNamed(t, "/x")
	t.Cleanup(func() { removeAll(t) })
	q, err := posix.OpenQueue("/x", posix.WriteOnly)
	check(t, err)
	_, err = q.TrySend([]byte("x"), 0)
	check(t, errors.Join(err, q.Close()))
	check(t, os.WriteFile("/dev/shm/sem.bad", []byte("no semaphore"), 0o600))
	s := newStore(t)
	for o, want := range map[ref.Object]string{
		{Kind: ref.PMsg, Name: "/x"}:   "pmsg:/x cannot be saved: it holds messages (1), and reading them would remove them",
		{Kind: ref.PSem, Name: "/bad"}: "psem:/bad cannot be saved: it is not readable, or it is not a semaphore of the GNU C library",
		{Kind: ref.PShm, Name: "/no"}:  "pshm:/no cannot be saved: stat /no: no such file or directory",
	} {
		if _, err := s.Save(t.Context(), o); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", o, err, want)
		}
	}
	if files, err := os.ReadDir(s.dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// TestFullShm: a restore that runs out of space leaves nothing.
func TestFullShm(t *testing.T) {
	makeObject(t, "/big", 1<<20, own(0o600), map[int64]string{0: strings.Repeat("x", 1<<20)})
	s := newStore(t)
	check(t, saveAll(s, true))
	entries, _, err := s.Entries()
	check(t, err)
	ipctest.MountShm(t, 64<<10)
	_, made, err := s.Restore(entries[0])
	if made || err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("made %v, %v", made, err)
	}
	if left := dump(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	wantNotes(t, s, 0)
}

func TestFileNames(t *testing.T) {
	long := strings.Repeat("x", 255)
	names := make(map[string]string)
	for _, o := range []ref.Object{
		{Kind: ref.Shm, ID: 5},
		{Kind: ref.PShm, Name: "/a"},
		{Kind: ref.PSem, Name: "/a"},
		{Kind: ref.PShm, Name: "/a b/../"},
		{Kind: ref.PShm, Name: "/a%20b"},
		{Kind: ref.PShm, Name: "/" + long},
		{Kind: ref.PShm, Name: "/" + long[1:] + "y"},
		{Kind: ref.PShm, Name: "/.json"},
	} {
		name := fileName(o)
		if other, taken := names[name]; taken || len(name) > 200 || strings.ContainsAny(name, "/ ") {
			t.Errorf("%v is in %s, %s too", o, name, other)
		}
		names[name] = o.String()
	}
	if got, want := fileName(ref.Object{Kind: ref.PShm, Name: "/my-shm_1.x y"}), "pshm-my-shm_1.x%20y"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCheckNames(t *testing.T) {
	for _, name := range []string{"", "x", "/", "/a/b", "/..", "/a\x00b", "/" + strings.Repeat("x", 256)} {
		e := &Entry{Version: version, Kind: "pshm", Name: []byte(name), File: &File{}, Segment: &Segment{}}
		if err := e.check(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is invalid: name %q", name)) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
