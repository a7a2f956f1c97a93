package inventory

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// waits makes objects from waits that are written as waiter, set, holder.
func waits(list ...[3]int) []Object {
	sets := make(map[int]*Use)
	var order []int
	for _, w := range list {
		u := sets[w[1]]
		if u == nil {
			u = new(Use)
			sets[w[1]] = u
			order = append(order, w[1])
		}
		u.Waiting = append(u.Waiting, Waiter{
			Process: &Process{PID: w[0]}, TID: w[0] + 1, Ops: []sysv.Op{{Num: 0, Add: 1}, {Num: 3, Add: -1}}, Blocked: 1,
			Holder: &Actor{PID: w[2], State: Alive},
		})
	}
	var objects []Object
	for _, id := range order {
		objects = append(objects, Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: id}, Use: sets[id]})
	}
	return objects
}

func (d Deadlock) String() string {
	var b strings.Builder
	for _, w := range d.Waits {
		fmt.Fprintf(&b, "%d-(%d)->", w.PID, w.Set)
	}
	return fmt.Sprintf("%s%d", &b, d.Waits[len(d.Waits)-1].HolderPID)
}

func TestDeadlocks(t *testing.T) {
	tests := []struct {
		name  string
		waits [][3]int
		want  string
	}{
		{"none", nil, "[]"},
		{"a waiter", [][3]int{{1, 10, 2}}, "[]"},
		{"a chain", [][3]int{{1, 10, 2}, {2, 20, 3}, {3, 30, 4}}, "[]"},
		{"a waiter for what it took itself", [][3]int{{1, 10, 1}}, "[]"},
		{"two", [][3]int{{2, 20, 1}, {1, 10, 2}}, "[1-(10)->2-(20)->1]"},
		{"three", [][3]int{{3, 30, 2}, {2, 20, 1}, {1, 10, 3}}, "[1-(10)->3-(30)->2-(20)->1]"},
		{"one more that waits for the ring", [][3]int{{2, 20, 1}, {1, 10, 2}, {5, 50, 1}}, "[1-(10)->2-(20)->1]"},
		{"a ring that waits for one more", [][3]int{{2, 20, 1}, {1, 10, 2}, {1, 11, 9}}, "[1-(10)->2-(20)->1]"},
		{"two rings apart", [][3]int{{1, 10, 2}, {2, 20, 1}, {3, 30, 4}, {4, 40, 3}}, "[1-(10)->2-(20)->1 3-(30)->4-(40)->3]"},
		{"two rings through one", [][3]int{{1, 10, 2}, {2, 20, 1}, {1, 11, 3}, {3, 30, 1}}, "[1-(10)->2-(20)->1 1-(11)->3-(30)->1]"},
		{"a ring within a ring", [][3]int{{1, 10, 2}, {2, 20, 3}, {3, 30, 1}, {2, 21, 1}}, "[1-(10)->2-(21)->1 1-(10)->2-(20)->3-(30)->1]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(deadlocks(waits(tt.waits...))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestDeadlocksLeaveOut(t *testing.T) {
	ring := func() []Object { return waits([3]int{1, 10, 2}, [3]int{2, 20, 1}) }
	if len(deadlocks(ring())) != 1 {
		t.Fatal("no ring to begin with")
	}
	for name, change := range map[string]func(*Waiter){
		"holder gone":       func(w *Waiter) { w.Holder.State = Gone },
		"holder not known":  func(w *Waiter) { w.Holder = nil },
		"waiting for zero":  func(w *Waiter) { w.Ops[1].Add = 0 },
		"holder is another": func(w *Waiter) { w.Holder.PID = 3 },
	} {
		objects := ring()
		change(&objects[1].Use.Waiting[0])
		if got := deadlocks(objects); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestDeadlocksAtRandom compares the rings with what a search of all paths finds.
func TestDeadlocksAtRandom(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		n := 2 + rnd.IntN(7)
		reach := make(map[[2]int]bool)
		var list [][3]int
		for i := range rnd.IntN(14) {
			w := [3]int{1 + rnd.IntN(n), 10 + i, 1 + rnd.IntN(n)}
			list = append(list, w)
			if w[0] != w[2] {
				reach[[2]int{w[0], w[2]}] = true
			}
		}
		for k := 1; k <= n; k++ {
			for i := 1; i <= n; i++ {
				for j := 1; j <= n; j++ {
					if reach[[2]int{i, k}] && reach[[2]int{k, j}] {
						reach[[2]int{i, j}] = true
					}
				}
			}
		}
		inRing := make(map[int]bool) // sets whose wait is part of a ring
		for _, d := range deadlocks(waits(list...)) {
			pids := make(map[int]bool)
			for i, w := range d.Waits {
				inRing[w.Set] = true
				if next := d.Waits[(i+1)%len(d.Waits)]; w.HolderPID != next.PID || pids[w.PID] {
					t.Fatalf("seed %d: %v is no ring", seed, d)
				}
				pids[w.PID] = true
			}
		}
		for _, w := range list {
			if want := w[0] != w[2] && reach[[2]int{w[2], w[0]}]; inRing[w[1]] != want {
				t.Fatalf("seed %d: %v: %v in a ring, want %v", seed, list, w, want)
			}
		}
	}
}

func TestDeadlocksOfMany(t *testing.T) {
	var list [][3]int
	const n = 20000
	for i := range n {
		list = append(list, [3]int{i, n + i, (i + 1) % n})
	}
	got := deadlocks(waits(list...))
	if len(got) != 1 || len(got[0].Waits) != n {
		t.Errorf("%d rings, want one of %d", len(got), n)
	}
}
