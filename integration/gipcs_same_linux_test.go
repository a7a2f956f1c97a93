package integration_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// TestSameSelection runs gipcs ls and gipcs rm on random objects with all selecting
// flags, alone and in random combinations. Both must select the same objects, except
// for the POSIX objects that rm counts as passed over.
func TestSameSelection(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	remove := randomObjects(t, r, 40)
	defer remove()

	flags := [][]string{
		{"--orphans"},
		{"--unused"},
		{"--owner-gone"},
		{"--with-messages"},
		{"--ignore-hidden"},
		{"--owner", "root"},
		{"--owner", "65534"},
		{"--key", "private"},
		{"--older-than", "1s"},
		{"--idle", "1s"},
		{"--where", `size > 100`},
		{"--where", `messages == 0`},
		{"--where", `!unused`},
		{"--where", `nattch == nil`},
		{"--kind", "shm"},
		{"--kind", "sem,pmsg"},
		{"--kind", "posix"},
		{"--kind", "sysv"},
		{"--kind", "sysv,posix"},
		{"--where", `kind != "sem"`},
		{"--where", `value > 0`},
	}
	combinations := slices.Clone(flags)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		combinations = append(combinations, slices.Concat(flags[r.IntN(len(flags))], flags[r.IntN(len(flags))], flags[r.IntN(len(flags))]))
	}
	for _, args := range combinations {
		listed := chosen(g.rows(t, append([]string{"ls"}, args...)...))
		out, said, status := g.run(t, slices.Concat([]string{"rm", "--dry-run", "--format", "ndjson"}, args)...)
		if status == 2 && strings.Contains(said, "nothing to remove") { // none of the flags selects objects
			continue
		}
		plan := planned(t, out)
		var more []string
		for _, name := range listed {
			if !slices.Contains(plan, name) {
				more = append(more, name)
			}
		}
		passedOver := ""
		switch n := len(more); {
		case n == 1:
			passedOver = "gipcs: 1 POSIX object matches too; add --kind sysv,posix to remove it\n"
		case n > 1:
			passedOver = fmt.Sprintf("gipcs: %d POSIX objects match too; add --kind sysv,posix to remove them\n", n)
		}
		if slices.ContainsFunc(more, func(name string) bool { return name[0] != 'p' }) || len(plan)+len(more) != len(listed) || !strings.Contains(said, passedOver) || status != 0 {
			t.Errorf("%v: ls lists %v, rm plans %v, exit status %d: %s", args, listed, plan, status, said)
		}
	}
}

// chosen returns the names of objects in rows of gipcs.
func chosen(rows []row) (names []string) {
	for _, r := range rows {
		names = append(names, fmt.Sprint(r["kind"], r["id"], r["name"]))
	}
	return names
}

// planned returns the names of objects in a plan.
func planned(t *testing.T, ndjson string) []string {
	t.Helper()
	var rows []row
	for line := range strings.Lines(ndjson) {
		var r row
		check(t, json.Unmarshal([]byte(line), &r))
		rows = append(rows, r)
	}
	return chosen(rows)
}

// randomObjects makes n objects of all kinds and two owners, some of them in use, and
// returns a function that removes them.
func randomObjects(t *testing.T, r *rand.Rand, n int) (remove func()) {
	t.Helper()
	var ends []func() error
	for i := range n {
		if r.IntN(2) == 0 {
			ends = append(ends, randomSysV(t, r, i)...)
		} else {
			ends = append(ends, randomPOSIX(t, r, fmt.Sprintf("/x%d", i))...)
		}
	}
	return func() {
		for _, end := range ends {
			check(t, end())
		}
	}
}

// randomSysV makes a System V object and returns functions that end its use and remove it.
func randomSysV(t *testing.T, r *rand.Rand, i int) (ends []func() error) {
	t.Helper()
	other := sysv.Ownership{UID: 65534, GID: 65534, Mode: 0o600}
	foreign := func() bool { return severalUsers() && r.IntN(2) == 0 }
	switch r.IntN(3) {
	case 0:
		s, err := sysv.CreateSegment(sysv.Private, int64(1+r.IntN(5000)), nil)
		check(t, err)
		if foreign() {
			check(t, s.SetOwnership(other))
		}
		if r.IntN(2) == 0 {
			mem, err := s.Attach(nil)
			check(t, err)
			ends = append(ends, mem.Detach)
		}
		return append(ends, s.Remove)
	case 1:
		s, err := sysv.CreateSet(sysv.Key(1000+i), 1+r.IntN(3), &sysv.SetOptions{Mode: fs.FileMode(0o600)})
		check(t, err)
		if r.IntN(2) == 0 {
			check(t, s.SetValue(0, 1)) // which makes this process the last user
		}
		if foreign() {
			check(t, s.SetOwnership(other))
		}
		return append(ends, s.Remove)
	default:
		q, err := sysv.CreateQueue(sysv.Private, nil)
		check(t, err)
		if r.IntN(2) == 0 {
			check(t, q.Send(t.Context(), 1, []byte("text")))
		}
		return append(ends, q.Remove)
	}
}

// randomPOSIX makes a POSIX object and returns functions that end its use and remove it.
func randomPOSIX(t *testing.T, r *rand.Rand, name string) (ends []func() error) {
	t.Helper()
	switch r.IntN(3) {
	case 0:
		path := "/dev/shm" + name
		check(t, os.WriteFile(path, make([]byte, r.IntN(300)), 0o600))
		if r.IntN(2) == 0 {
			f, err := os.Open(path)
			check(t, err)
			ends = append(ends, f.Close)
		}
		return append(ends, func() error { return os.Remove(path) })
	case 1:
		s, err := posix.CreateSemaphore(name, r.IntN(2), nil)
		check(t, err)
		check(t, s.Close())
		return append(ends, func() error { return posix.UnlinkSemaphore(name) })
	default:
		q, err := posix.CreateQueue(name, &posix.QueueOptions{Mode: 0o600, MaxMsgs: 1, MsgSize: 10})
		check(t, err)
		if r.IntN(2) == 0 {
			check(t, q.Send(t.Context(), []byte("text"), 0))
		}
		check(t, q.Close())
		return append(ends, func() error { return posix.UnlinkQueue(name) })
	}
}
