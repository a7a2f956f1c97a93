package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func newSeries(t *testing.T) *Series {
	t.Helper()
	s, err := OpenSeries(filepath.Join(t.TempDir(), "series"))
	check(t, err)
	return s
}

func wantNames(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// makeThree makes three sets and saves them, like a run that is then killed.
func makeThree(t *testing.T, run *Run) (sets [3]sysv.Set) {
	t.Helper()
	for i := range sets {
		set, err := sysv.CreateSetWith(sysv.Private, []uint16{uint16(i)}, nil)
		check(t, err)
		_, err = run.Save(t.Context(), ref.Object{Kind: ref.Sem, ID: int(set)})
		check(t, err)
		sets[i] = set
	}
	return sets
}

// TestSettle: objects that a killed run removed stay in the backup. Objects that it saved
// but did not remove are taken out, and reopened if they were shut.
func TestSettle(t *testing.T) {
	defer removeAll(t)
	s := newSeries(t)
	run, err := s.Begin(time.Now())
	check(t, err)
	sets := makeThree(t, run)
	removed, shut, untouched := sets[0], sets[1], sets[2]
	check(t, removed.Remove())
	info, err := shut.Stat()
	check(t, err)
	owner := info.Ownership()
	owner.Mode = shutMode
	check(t, shut.SetOwnership(owner))
	for _, name := range []string{"shm-7.data", "shm-8.data.part", "msg-9.json.part", "foreign"} {
		check(t, os.WriteFile(filepath.Join(run.path+unfinishedSuffix, name), nil, 0o600))
	}
	if _, err := s.Settle(); !errors.Is(err, errInUse) {
		t.Errorf("a run that goes on: %v, want %v", err, errInUse)
	}
	check(t, run.root.Close())
	check(t, run.self.Close()) // as happens when the process ends
	list, err := s.Settle()
	check(t, err)
	if len(list) != 1 || list[0].Path != run.Path() || list[0].Fragments != 3 || len(list[0].Kept) != 2 {
		t.Fatalf("%+v", list)
	}
	wantNames(t, "files", ipctest.FilesIn(t, run.Path()), fmt.Sprintf("sem-%d.json", removed), "foreign")
	for _, set := range []sysv.Set{shut, untouched} {
		if info, err := set.Stat(); err != nil || info.Mode != 0o600 || !slices.Contains(list[0].Kept, ref.Object{Kind: ref.Sem, ID: int(set)}) {
			t.Errorf("set %d: mode %v, %v; kept %v", set, info.Mode, err, list[0].Kept)
		}
	}
	if list, err := s.Settle(); list != nil || err != nil {
		t.Errorf("the next time: %v, %v", list, err)
	}
}

// TestSettleInPart: two bad files in a backup do not keep Settle from settling the third.
func TestSettleInPart(t *testing.T) {
	defer removeAll(t)
	s := newSeries(t)
	run, err := s.Begin(time.Now())
	check(t, err)
	sets := makeThree(t, run)
	check(t, errors.Join(run.root.Close(), run.self.Close()))
	dir := run.path + unfinishedSuffix
	bad := filepath.Join(dir, fmt.Sprintf("sem-%d.json", sets[0]))
	check(t, os.Remove(bad))
	check(t, unix.Mkfifo(bad, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("sem-%d.json", sets[1])), []byte("{}"), 0o600))
	list, err := s.Settle()
	wantError(t, "a FIFO", err, "is not a regular file that you own")
	wantError(t, "another file", err, "is damaged, or not part of a backup")
	if len(list) != 1 || len(list[0].Kept) != 1 || list[0].Kept[0].ID != int(sets[2]) {
		t.Errorf("%+v, want the third set", list)
	}
}

// TestSettleOthers: Settle leaves a run of another namespace, a link and a foreign file
// alone, and removes an empty run.
func TestSettleOthers(t *testing.T) {
	s := newSeries(t)
	namespace, err := ownNamespace()
	check(t, err)
	other := fmt.Sprintf("20260101T000000.000000Z-%d.unfinished", namespace+1)
	mine := func(day int) string {
		return fmt.Sprintf("202601%02dT000000.000000Z-%d.unfinished", day, namespace)
	}
	check(t, os.Mkdir(filepath.Join(s.dir, other), 0o700))
	check(t, os.Mkdir(filepath.Join(s.dir, mine(2)), 0o700))
	check(t, os.Symlink(t.TempDir(), filepath.Join(s.dir, mine(3))))
	check(t, os.WriteFile(filepath.Join(s.dir, mine(4)), nil, 0o600))
	_, err = s.Settle()
	check(t, err)
	wantNames(t, "left", ipctest.FilesIn(t, s.dir), other, mine(3), mine(4))
}

// backUp makes a backup of n bytes from some days ago, and returns its name.
func backUp(t *testing.T, s *Series, now time.Time, days, n int) string {
	t.Helper()
	name := now.AddDate(0, 0, -days).UTC().Format(nameTime) + "-1"
	dir := filepath.Join(s.dir, name)
	check(t, os.Mkdir(dir, 0o700))
	check(t, os.WriteFile(filepath.Join(dir, "shm-1.data"), make([]byte, n), 0o600))
	return name
}

func TestPrune(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond) // as in the names
	const day = 24 * time.Hour
	for _, tt := range []struct {
		what  string
		limit Limit
		keep  int   // days: the backup of the current run
		left  []int // days
	}{
		{"no limit", Limit{}, 0, []int{9, 5, 2, 0, -3}},
		{"age", Limit{Age: 4 * day}, 0, []int{2, 0, -3}},
		{"exactly the age", Limit{Age: 5 * day}, 0, []int{5, 2, 0, -3}},
		{"size", Limit{Size: 300}, 0, []int{2, 0, -3}},
		{"exactly the size", Limit{Size: 500}, 0, []int{9, 5, 2, 0, -3}},
		{"one byte less", Limit{Size: 499}, 0, []int{5, 2, 0, -3}},
		{"the current one is larger than the limit", Limit{Size: 1}, 0, []int{0}},
		{"after the clock was set back", Limit{Size: 200}, 9, []int{9, -3}},
		{"both", Limit{Age: 4 * day, Size: 200}, 0, []int{0, -3}},
		{"the age of the current one", Limit{Age: 1}, 9, []int{9, 0, -3}},
	} {
		s := newSeries(t)
		names := make(map[int]string)
		for _, days := range []int{9, 5, 2, 0, -3} {
			names[days] = backUp(t, s, now, days, 100)
		}
		deleted, err := s.Prune(tt.limit, now, filepath.Join(s.dir, names[tt.keep]))
		check(t, err)
		var left []string
		for _, days := range tt.left {
			left = append(left, names[days])
		}
		wantNames(t, tt.what, ipctest.FilesIn(t, s.dir), left...)
		if len(deleted) != len(names)-len(left) {
			t.Errorf("%s: deleted %q", tt.what, deleted)
		}
	}
}

// TestPruneSpares: Prune keeps a backup whose End failed, a backup in use, foreign files,
// links, and whatever the links point to.
func TestPruneSpares(t *testing.T) {
	now := time.Now()
	s := newSeries(t)
	current, inUse, foreign := backUp(t, s, now, 9, 1), backUp(t, s, now, 8, 1), backUp(t, s, now, 7, 1)
	goes := backUp(t, s, now, 6, 1)
	check(t, os.Rename(filepath.Join(s.dir, current), filepath.Join(s.dir, current+unfinishedSuffix)))
	open, err := Open(filepath.Join(s.dir, inUse))
	check(t, err)
	defer open.Close()
	outside := t.TempDir()
	check(t, os.WriteFile(filepath.Join(outside, "shm-1.data"), nil, 0o600))
	check(t, os.Symlink(outside, filepath.Join(s.dir, foreign, "sem-1.json")))
	check(t, os.Symlink(outside, filepath.Join(s.dir, "20200101T000000.000000Z-1")))
	check(t, os.Mkdir(filepath.Join(s.dir, "20200101T000000Z-1"), 0o700))
	deleted, err := s.Prune(Limit{Age: 1, Size: 1}, now, filepath.Join(s.dir, current))
	wantError(t, "a link in a backup", err, "it has files that gipcs did not make")
	wantNames(t, "deleted", deleted, filepath.Join(s.dir, goes))
	wantNames(t, "left", ipctest.FilesIn(t, s.dir), current+unfinishedSuffix, inUse, foreign+expiredSuffix,
		"20200101T000000.000000Z-1", "20200101T000000Z-1")
	wantNames(t, "left outside", ipctest.FilesIn(t, outside), "shm-1.data")
	wantNames(t, "left in the backup", ipctest.FilesIn(t, filepath.Join(s.dir, foreign+expiredSuffix)), "sem-1.json")
}

func TestEnd(t *testing.T) {
	s := newSeries(t)
	run, err := s.Begin(time.Now())
	check(t, err)
	if saved, err := run.End(); saved || err != nil {
		t.Errorf("nothing saved: %v, %v", saved, err)
	}
	wantNames(t, "left", ipctest.FilesIn(t, s.dir))
}
