package backup

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// TestKilled kills a process that saves and removes, then one that restores, at random
// moments. After the first, each object must exist or be complete in the backup. After
// the second, another restore must bring back every object once, as it was.
func TestKilled(t *testing.T) {
	makeAll(t)
	want := dump(t)
	var halfSaved, halfRestored, fragmentary, halfMade int
	saving, restoring := 50*time.Millisecond, 50*time.Millisecond
	rounds := 0
	for round := range ipctest.Rounds(t, 40, 2) {
		rounds++
		dir := filepath.Join(t.TempDir(), "backup")
		kill(t, "save", dir, 0, &saving)
		s, err := Create(dir)
		check(t, err)
		entries, fragments, err := s.Entries()
		check(t, err)
		there := dump(t)
		for object := range want {
			saved := slices.ContainsFunc(entries, func(e *Entry) bool { return e.String() == object })
			if there[object] != want[object] && !saved {
				t.Fatalf("round %d: %s is lost", round, object)
			}
		}
		check(t, s.Close())
		if n := len(there); n > 0 && n < len(want) {
			halfSaved++
		}
		if len(fragments) > 0 {
			fragmentary++
		}

		kill(t, "restore", dir, len(want), &restoring)
		now := dump(t)
		if n := len(now); n > len(there) && n < len(want) {
			halfRestored++
		}
		for object := range now {
			if now[object] != want[object] {
				halfMade++
			}
		}
		s, err = Open(dir)
		check(t, err)
		_, err = restoreAll(s)
		check(t, err)
		check(t, s.Close())
		if got := dump(t); !maps.Equal(got, want) {
			t.Fatalf("round %d: restored\n%v, want\n%v", round, got, want)
		}
	}
	t.Logf("%d rounds: killed halfway while saving %d, with a fragment %d; while restoring %d, with an unfinished object %d",
		rounds, halfSaved, fragmentary, halfRestored, halfMade)
	if !testing.Short() && (halfSaved == 0 || halfRestored == 0) { // in few rounds this may happen by chance
		t.Error("no kill hit anything")
	}
}

// kill starts a process in a role, waits until it has made the given number of objects,
// and kills it within a time that it adapts to how long the role takes.
func kill(t *testing.T, role, dir string, leaves int, within *time.Duration) {
	t.Helper()
	p := ipctest.Start(t, role, nil, dir)
	if line := p.Line(); line != "ready" {
		t.Fatal(line)
	}
	before := len(dump(t))
	p.Tell("go")
	time.Sleep(rand.N(*within))
	p.Kill()
	finished := len(dump(t)) == leaves
	switch {
	case finished:
		*within = max(*within*7/8, time.Millisecond)
	case before == len(dump(t)) || rand.N(2) == 0:
		*within = min(*within*8/7, time.Second)
	}
}
