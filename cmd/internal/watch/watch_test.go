package watch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/watch"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// begin is when the first look is taken; each further look is a second later.
func begin() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func segment(id int, change func(*sysv.SegmentInfo)) inventory.Object {
	s := &sysv.SegmentInfo{ID: id, Size: 4096, CPID: 7, CTime: begin()}
	s.Key = 0x4d2
	if change != nil {
		change(s)
	}
	return inventory.Object{Kind: ref.Shm, Segment: s}
}

func set(id int, change func(*sysv.SetInfo)) inventory.Object {
	s := &sysv.SetInfo{ID: id, NSems: 2, CTime: begin()}
	if change != nil {
		change(s)
	}
	return inventory.Object{Kind: ref.Sem, Set: s}
}

func queue(id int, change func(*sysv.QueueInfo)) inventory.Object {
	q := &sysv.QueueInfo{ID: id, CTime: begin()}
	if change != nil {
		change(q)
	}
	return inventory.Object{Kind: ref.Msg, Queue: q}
}

func file(name string, ino uint64) inventory.Object {
	return inventory.Object{Kind: ref.PShm, PShm: &posix.FileInfo{Name: name, Ino: ino, Links: 1}}
}

// look returns an inventory that was taken n seconds after the first one.
func look(n int, objects ...inventory.Object) *inventory.Inventory {
	return &inventory.Inventory{Taken: begin().Add(time.Duration(n) * time.Second), Objects: objects}
}

func words(events []watch.Event) (list []string) {
	for _, e := range events {
		list = append(list, fmt.Sprint(e.What, " ", e.Ref))
	}
	return list
}

func want(t *testing.T, what string, events []watch.Event, list ...string) {
	t.Helper()
	if got := words(events); !slices.Equal(got, list) {
		t.Errorf("%s: %q, want %q", what, got, list)
	}
}

// TestObjects compares two looks at one object.
func TestObjects(t *testing.T) {
	used := begin().Add(time.Hour)
	for _, tt := range []struct {
		what          string
		before, after []inventory.Object
		want          []string
	}{
		{"nothing changed", []inventory.Object{segment(1, nil)}, []inventory.Object{segment(1, nil)}, nil},
		{"made", nil, []inventory.Object{set(1, nil), queue(1, nil)}, []string{"made sem:1", "made msg:1"}},
		{"made and attached", nil, []inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.NAttch = 2 })}, []string{"made shm:1", "attached shm:1"}},
		{"removed", []inventory.Object{segment(1, nil), set(2, nil)}, []inventory.Object{set(2, nil)}, []string{"removed shm:1"}},
		{"attached", []inventory.Object{segment(1, nil)}, []inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.NAttch = 1 })}, []string{"attached shm:1"}},
		{"detached", []inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.NAttch = 3 })}, []inventory.Object{segment(1, nil)}, []string{"detached shm:1"}},
		{
			"marked for removal, which takes the key",
			[]inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.NAttch = 1 })},
			[]inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.NAttch, s.Dest, s.Key = 1, true, 0 })},
			[]string{"marked shm:1"},
		},
		{"IPC_SET and SETVAL set ctime", []inventory.Object{segment(1, nil), set(1, nil), queue(1, nil)}, []inventory.Object{
			segment(1, func(s *sysv.SegmentInfo) { s.CTime, s.Mode = used, 0o600 }), set(1, func(s *sysv.SetInfo) { s.CTime = used }),
			queue(1, func(q *sysv.QueueInfo) { q.CTime, q.UID = used, 5 }),
		}, nil},
		{"another segment: creator", []inventory.Object{segment(1, nil)}, []inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.CPID = 8 })}, []string{"removed shm:1", "made shm:1"}},
		{"another segment: key", []inventory.Object{segment(1, nil)}, []inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.Key = 8 })}, []string{"removed shm:1", "made shm:1"}},
		{"another segment: never attached", []inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.ATime = used })}, []inventory.Object{segment(1, nil)}, []string{"removed shm:1", "made shm:1"}},
		{
			"another segment: the old one was marked",
			[]inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.Dest, s.Key = true, 0 })},
			[]inventory.Object{segment(1, func(s *sysv.SegmentInfo) { s.Key = 0 })},
			[]string{"removed shm:1", "made shm:1"},
		},
		{"another set", []inventory.Object{set(1, nil)}, []inventory.Object{set(1, func(s *sysv.SetInfo) { s.NSems = 3 })}, []string{"removed sem:1", "made sem:1"}},
		{"another queue", []inventory.Object{queue(1, func(q *sysv.QueueInfo) { q.STime = used })}, []inventory.Object{queue(1, nil)}, []string{"removed msg:1", "made msg:1"}},
		{"another file", []inventory.Object{file("/x", 1)}, []inventory.Object{file("/x", 2)}, []string{"removed pshm:/x", "made pshm:/x"}},
	} {
		w := watch.New(watch.Options{})
		first := w.Compare(look(0, tt.before...), nil, nil)
		for _, e := range first {
			if e.What != watch.Present || !e.After.IsZero() {
				t.Errorf("%s: at the first look %v after %v", tt.what, e.What, e.After)
			}
		}
		if len(first) != len(tt.before) {
			t.Errorf("%s: at the first look %q", tt.what, words(first))
		}
		events := w.Compare(look(1, tt.after...), nil, nil)
		want(t, tt.what, events, tt.want...)
		for _, e := range events {
			if !e.After.Equal(begin()) || !e.Time.Equal(begin().Add(time.Second)) {
				t.Errorf("%s: %v between %v and %v", tt.what, e.What, e.After, e.Time)
			}
		}
		if w.Objects() != len(tt.after) {
			t.Errorf("%s: %d objects, want %d", tt.what, w.Objects(), len(tt.after))
		}
	}
}

// TestIncomplete: objects that could not be listed are not gone, and objects of kinds that
// are listed for the first time were not made.
func TestIncomplete(t *testing.T) {
	var there inventory.Object
	var refused error
	w := watch.New(watch.Options{Look: func(ref.Object) (inventory.Object, error) { return there, refused }})
	w.Compare(look(0, segment(1, nil), file("/x", 1)), nil, nil)

	there = segment(1, nil)
	noFiles := look(1)
	noFiles.Unlisted = []inventory.Unlisted{{Kind: ref.PShm, Err: errors.New("not mounted")}, {Kind: ref.PMsg, Err: errors.New("not mounted")}}
	want(t, "found by its name", w.Compare(noFiles, nil, nil))
	refused = fs.ErrPermission
	partly := look(2, file("/x", 1), inventory.Object{Kind: ref.PMsg, PMsg: &posix.QueueInfo{FileInfo: posix.FileInfo{Name: "/q"}}})
	partly.Unlisted = []inventory.Unlisted{{Kind: ref.Shm, Err: &sysvipc.Incomplete{What: "a segment", Err: fs.ErrPermission}}}
	want(t, "no permission to look; the queues are listed again", w.Compare(partly, nil, nil), "made pmsg:/q")
	refused = fs.ErrNotExist
	want(t, "gone", w.Compare(look(3), nil, nil), "removed pshm:/x", "removed pmsg:/q", "removed shm:1")

	w = watch.New(watch.Options{})
	unmounted := look(0)
	unmounted.Unlisted = []inventory.Unlisted{{Kind: ref.PShm, Err: errors.New("not mounted")}}
	w.Compare(unmounted, nil, nil)
	want(t, "listed for the first time", w.Compare(look(1, file("/x", 1), set(1, nil)), nil, nil), "present pshm:/x", "made sem:1")
	want(t, "listed before", w.Compare(look(2, file("/x", 1), file("/y", 2), set(1, nil)), nil, nil), "made pshm:/y")
}

// TestWaits: each wait is reported once.
func TestWaits(t *testing.T) {
	w := watch.New(watch.Options{Wait: 3 * time.Second})
	waiting := func(n int, since ...time.Time) *inventory.Inventory {
		o := set(1, nil)
		o.Use = &inventory.Use{}
		for i, s := range since {
			o.Use.Waiting = append(o.Use.Waiting, inventory.Waiter{Process: &inventory.Process{PID: 5}, TID: i, Since: s})
		}
		return look(n, o)
	}
	w.Compare(waiting(0, begin()), nil, nil)
	want(t, "2 s", w.Compare(waiting(2, begin()), nil, nil))
	events := w.Compare(waiting(3, begin(), begin()), nil, nil)
	want(t, "3 s", events, "waiting sem:1", "waiting sem:1")
	want(t, "again", w.Compare(waiting(4, begin().Add(50*time.Millisecond), begin()), nil, nil))
	again := begin().Add(4 * time.Second)
	want(t, "another wait", w.Compare(waiting(6, again), nil, nil))
	want(t, "another wait, for long", w.Compare(waiting(8, again), nil, nil), "waiting sem:1")
	w.Compare(waiting(9), nil, nil)
	want(t, "no wait any more", w.Compare(waiting(10), nil, nil))
	want(t, "unknown beginning", w.Compare(waiting(20, time.Time{}), nil, nil))
	if w.Undated != 1 {
		t.Errorf("%d waits of unknown beginning, want 1", w.Undated)
	}
}

func TestLimits(t *testing.T) {
	w := watch.New(watch.Options{High: func(l limits.Limit) bool { return l.Share() > 0.8 }})
	used := func(n int, use uint64) []watch.Event {
		return w.Compare(look(n), nil, []limits.Limit{
			{Name: "SHMMNI", Kind: ref.Shm, Value: 10, Use: use, Counted: true},
			{Name: "SHMMAX", Kind: ref.Shm, Value: 0},
		})
	}
	want(t, "half", used(0, 5))
	events := used(1, 9)
	want(t, "high", events, "limit shm:0")
	if !events[0].High || events[0].Limit.Use != 9 {
		t.Errorf("%+v", events[0])
	}
	want(t, "still high", used(2, 10))
	events = used(3, 8)
	want(t, "low again", events, "limit shm:0")
	if events[0].High {
		t.Errorf("%+v", events[0])
	}
}

func TestVerdicts(t *testing.T) {
	w := watch.New(watch.Options{Verdicts: true})
	judged := func(n int, v inventory.Verdict) []watch.Event {
		o := set(1, nil)
		o.Use = &inventory.Use{Verdict: v}
		return w.Compare(look(n, o), nil, nil)
	}
	want(t, "first", judged(0, inventory.Idle), "present sem:1")
	want(t, "same", judged(1, inventory.Idle))
	events := judged(2, inventory.Orphan)
	want(t, "orphan", events, "verdict sem:1")
	if events[0].Before != inventory.Idle {
		t.Errorf("before: %v", events[0].Before)
	}
}

// A simulation is a directory whose files come and go at random while they are listed.
type simulation struct {
	*rand.Rand
	now     time.Time
	inodes  uint64
	files   map[string]uint64
	notices []watch.Notice
	history map[string][]string // for each name: made or removed, and the inode
}

func (s *simulation) act() {
	name := []string{"/a", "/b", "/c"}[s.IntN(3)]
	s.now = s.now.Add(time.Millisecond)
	object := ref.Object{Kind: ref.PShm, Name: name}
	if ino := s.files[name]; ino != 0 {
		delete(s.files, name)
		s.notices = append(s.notices, watch.Notice{Time: s.now, Ref: object, Removed: true})
		s.history[name] = append(s.history[name], fmt.Sprint("removed ", ino))
		return
	}
	s.inodes++
	s.files[name] = s.inodes
	o := file(name, s.inodes)
	s.notices = append(s.notices, watch.Notice{Time: s.now, Ref: object, Object: &o})
	s.history[name] = append(s.history[name], fmt.Sprint("made ", s.inodes))
}

func (s *simulation) actSome() {
	for range s.IntN(4) {
		s.act()
	}
}

// list lists the files one after the other while others come and go.
func (s *simulation) list() *inventory.Inventory {
	inv := &inventory.Inventory{Taken: s.now}
	for _, name := range []string{"/a", "/b", "/c"} {
		if ino := s.files[name]; ino != 0 {
			inv.Objects = append(inv.Objects, file(name, ino))
		}
		s.actSome()
	}
	return inv
}

func (s *simulation) look(o ref.Object) (inventory.Object, error) {
	if ino := s.files[o.Name]; ino != 0 {
		return file(o.Name, ino), nil
	}
	return inventory.Object{}, fs.ErrNotExist
}

// TestFiles: with all notices, each file that was made and removed is reported once, in
// order, however short its life and wherever a listing falls.
func TestFiles(t *testing.T) {
	const runs, looks = 2000, 12
	for seed := range uint64(runs) {
		s := &simulation{
			Rand: rand.New(rand.NewPCG(seed, 0)), now: begin(), files: make(map[string]uint64), history: make(map[string][]string),
		}
		w := watch.New(watch.Options{Look: s.look})
		w.Compare(&inventory.Inventory{Taken: s.now}, nil, nil)
		reported := make(map[string][]string)
		for i := range looks {
			s.actSome()
			if i == looks-1 {
				s.Rand = rand.New(still{}) // so that everything is reported
			}
			inv := s.list()
			notices := s.notices
			s.notices = nil
			for _, e := range w.Compare(inv, notices, nil) {
				reported[e.Ref.Name] = append(reported[e.Ref.Name], fmt.Sprint(e.What, " ", e.Object.File().Ino))
				if e.Time.Before(e.After) {
					t.Fatalf("seed %d: %v %v at %v, after %v", seed, e.What, e.Ref, e.Time, e.After)
				}
			}
		}
		for name, history := range s.history {
			if !slices.Equal(reported[name], history) {
				t.Fatalf("seed %d: %s: reported %q, happened %q", seed, name, reported[name], history)
			}
		}
	}
}

// still is a source of zeros.
type still struct{}

func (still) Uint64() uint64 { return 0 }

// TestLostNotices: whatever is lost, what is reported of a name alternates, and the last
// word about it is true.
func TestLostNotices(t *testing.T) {
	const runs, looks = 2000, 12
	for seed := range uint64(runs) {
		s := &simulation{
			Rand: rand.New(rand.NewPCG(seed, 1)), now: begin(), files: make(map[string]uint64), history: make(map[string][]string),
		}
		w := watch.New(watch.Options{Look: s.look})
		w.Compare(&inventory.Inventory{Taken: s.now}, nil, nil)
		alive := make(map[string]bool)
		for i := range looks + 2 {
			if i < looks {
				s.actSome()
			} else {
				s.Rand = rand.New(still{})
			}
			inv := s.list()
			notices := slices.DeleteFunc(s.notices, func(watch.Notice) bool { return s.IntN(3) == 1 })
			s.notices = nil
			for _, e := range w.Compare(inv, notices, nil) {
				if made := e.What == watch.Made; made == alive[e.Ref.Name] {
					t.Fatalf("seed %d, look %d: %v %v twice", seed, i, e.What, e.Ref)
				}
				alive[e.Ref.Name] = e.What == watch.Made
				if e.Time.Before(e.After) {
					t.Fatalf("seed %d, look %d: %v %v at %v, after %v", seed, i, e.What, e.Ref, e.Time, e.After)
				}
			}
		}
		for _, name := range []string{"/a", "/b", "/c"} {
			if alive[name] != (s.files[name] != 0) {
				t.Fatalf("seed %d: %s is reported as there: %v, inode %d", seed, name, alive[name], s.files[name])
			}
		}
	}
}

// TestStaleNotice: a notice about an older file of a name does not end the one that is there.
func TestStaleNotice(t *testing.T) {
	there := file("/x", 2)
	w := watch.New(watch.Options{Look: func(ref.Object) (inventory.Object, error) { return there, nil }})
	w.Compare(look(0, there), nil, nil)
	stale := []watch.Notice{{Time: begin(), Ref: there.Ref(), Removed: true}, {Time: begin(), Ref: there.Ref()}}
	want(t, "stale", w.Compare(look(1, there), stale, nil))
	want(t, "after it", w.Compare(look(2, there), nil, nil))
}

// TestTemporaryNames: sem_open(3) links a semaphore to its name after it has prepared it
// under another one.
func TestTemporaryNames(t *testing.T) {
	w := watch.New(watch.Options{})
	w.Compare(look(0), nil, nil)
	notice := func(kind ref.Kind, name string, removed bool) watch.Notice {
		return watch.Notice{Time: begin(), Ref: ref.Object{Kind: kind, Name: name}, Removed: removed}
	}
	sem := inventory.Object{Kind: ref.PSem, PSem: &posix.SemaphoreInfo{FileInfo: posix.FileInfo{Name: "/mine", Ino: 1}}}
	want(t, "glibc", w.Compare(look(1, sem), []watch.Notice{
		notice(ref.PSem, "/X3a9Zq", false), notice(ref.PSem, "/mine", false), notice(ref.PSem, "/X3a9Zq", true),
	}, nil), "made psem:/mine")
	want(t, "musl", w.Compare(look(2), []watch.Notice{
		notice(ref.PShm, "/tmp-123", false), notice(ref.PSem, "/other", false), notice(ref.PShm, "/tmp-123", true),
		notice(ref.PSem, "/other", true), notice(ref.PSem, "/mine", true),
	}, nil), "made psem:/other", "removed psem:/other", "removed psem:/mine")
	want(t, "a short name", w.Compare(look(3), []watch.Notice{notice(ref.PSem, "/abcdef", false), notice(ref.PSem, "/abcdef", true)}, nil), "made psem:/abcdef", "removed psem:/abcdef")
}
