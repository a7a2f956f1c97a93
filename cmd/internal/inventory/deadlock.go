package inventory

import (
	"cmp"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A Deadlock is a ring of processes, each of which waits for a semaphore that the next one
// operated on last. It is only a possible deadlock: the semaphores may not be locks,
// another process or thread may release them, and a wait may have a timeout.
type Deadlock struct{ Waits []Wait }

// A Wait is a thread's wait for a semaphore and its likely holder.
type Wait struct {
	PID, TID  int
	Comm      string
	Set       int
	Semaphore int
	HolderPID int
}

// deadlocks finds rings among the waits on sets. For every wait that is part of a ring, it
// returns the shortest such ring.
func deadlocks(objects []Object) []Deadlock {
	waits := waitsFor(objects)
	from := make(map[int][]Wait)
	for _, w := range waits {
		from[w.PID] = append(from[w.PID], w)
	}
	rings := ringed(from)
	var found []Deadlock
	covered := make(map[Wait]bool)
	for _, w := range waits {
		if ring := rings[w.PID]; ring == 0 || ring != rings[w.HolderPID] || covered[w] {
			continue
		}
		path := shortest(from, rings, w)
		for _, w := range path {
			covered[w] = true
		}
		found = append(found, Deadlock{startAtLowest(path)})
	}
	return found
}

// waitsFor returns the waits whose likely holder is another living process, in a
// fixed order.
func waitsFor(objects []Object) (waits []Wait) {
	for i := range objects {
		o := &objects[i]
		if o.Kind != ref.Sem || o.Use == nil {
			continue
		}
		for j := range o.Use.Waiting {
			w := &o.Use.Waiting[j]
			if w.Holder == nil || w.Holder.State != Alive || w.Holder.PID == w.PID || w.Ops[w.Blocked].Add >= 0 {
				continue
			}
			waits = append(waits, Wait{
				PID: w.PID, TID: w.TID, Comm: w.Comm,
				Set: o.ID(), Semaphore: int(w.Ops[w.Blocked].Num), HolderPID: w.Holder.PID,
			})
		}
	}
	slices.SortFunc(waits, func(a, b Wait) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.TID, b.TID), cmp.Compare(a.Set, b.Set))
	})
	return waits
}

// ringed numbers the processes that can reach themselves. Processes with the same number
// can reach each other. These are Tarjan's strongly connected components, computed without
// recursion, because a chain of waiters may be long.
func ringed(from map[int][]Wait) map[int]int {
	type node struct{ index, low, next int }
	nodes := make(map[int]*node)
	rings := make(map[int]int)
	onStack := make(map[int]bool)
	var stack, calls []int
	enter := func(pid int) {
		nodes[pid] = &node{index: len(nodes), low: len(nodes)}
		stack = append(stack, pid)
		onStack[pid] = true
		calls = append(calls, pid)
	}
	ring := 0
	for start := range from {
		if nodes[start] != nil {
			continue
		}
		enter(start)
		for len(calls) > 0 {
			pid := calls[len(calls)-1]
			n := nodes[pid]
			if n.next < len(from[pid]) {
				to := from[pid][n.next].HolderPID
				n.next++
				switch {
				case nodes[to] == nil:
					enter(to)
				case onStack[to]:
					n.low = min(n.low, nodes[to].index)
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				parent := nodes[calls[len(calls)-1]]
				parent.low = min(parent.low, n.low)
			}
			if n.low != n.index {
				continue
			}
			at := len(stack) - 1
			for stack[at] != pid {
				at--
			}
			if len(stack)-at > 1 {
				ring++
				for _, member := range stack[at:] {
					rings[member] = ring
				}
			}
			for _, member := range stack[at:] {
				onStack[member] = false
			}
			stack = stack[:at]
		}
	}
	return rings
}

// shortest returns the shortest ring that begins with w.
func shortest(from map[int][]Wait, rings map[int]int, w Wait) []Wait {
	by := map[int]Wait{w.HolderPID: w}
	for queue := []int{w.HolderPID}; len(queue) > 0; queue = queue[1:] {
		for _, next := range from[queue[0]] {
			if next.HolderPID == w.PID {
				path := []Wait{next}
				for pid := next.PID; pid != w.PID; pid = by[pid].PID {
					path = append(path, by[pid])
				}
				slices.Reverse(path)
				return path
			}
			if _, seen := by[next.HolderPID]; !seen && rings[next.HolderPID] == rings[w.PID] {
				by[next.HolderPID] = next
				queue = append(queue, next.HolderPID)
			}
		}
	}
	return nil
}

// startAtLowest rotates a ring so that it begins with the lowest process id.
func startAtLowest(ring []Wait) []Wait {
	lowest := 0
	for i, w := range ring {
		if w.PID < ring[lowest].PID {
			lowest = i
		}
	}
	return append(slices.Clone(ring[lowest:]), ring[:lowest]...)
}
