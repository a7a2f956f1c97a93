// Package graph shows which processes use which objects, as a graph of two sides: processes
// on the left, objects on the right. Processes and objects that are alike are folded into
// one node with their number. The same inventory always gives the same graph.
package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A By says what the nodes of processes are.
type By int

// The ways to group processes.
const (
	Alike     By = iota // processes of one program that do the same with the same objects
	Program             // processes with the same command
	Owner               // processes of one user
	Container           // processes in one container
	Unit                // processes in one systemd unit
)

func words() []string { return []string{"alike", "program", "owner", "container", "unit"} }

// Words returns the words for all ways to group, in the order of the constants.
func Words() []string { return words() }

// Parse returns the way to group that a word stands for, false if there is none.
func Parse(word string) (by By, ok bool) {
	i := slices.Index(words(), word)
	return By(i), i >= 0
}

// Want returns what must be collected for a graph.
func Want(by By) inventory.Want {
	w := inventory.WantAttached | inventory.WantOpen | inventory.WantWaiting | inventory.WantActors
	if by == Container || by == Unit {
		w |= inventory.WantContainers
	}
	return w
}

// A Graph is a graph of processes and objects.
type Graph struct {
	Processes []Node
	Objects   []Node
	Edges     []Edge // in the order of processes, then of objects
}

// A Node stands for processes or objects that are alike.
type Node struct {
	Title string // may contain any bytes
	Facts []string
	Count int // of what the node stands for
	Kind  ref.Kind
	// Deadlocked is set if a process waits for another one in a ring, or for an object over
	// which such a ring waits.
	Deadlocked bool
}

// What is what a process does with an object.
type What int

// The kinds of edges.
const (
	Maps     What = iota // has it attached or mapped
	Reads                // has it attached or mapped, and cannot write
	Opens                // has it open, but not mapped
	Operated             // operated last on one of its semaphores
	Sent                 // sent the last message
	Received             // received the last message
	Waits                // waits for a semaphore or on a queue
)

func (w What) String() string {
	return [...]string{"maps", "reads", "has open", "operated last", "sent last", "received last", "waits"}[w]
}

// An Edge is what a process does with an object.
type Edge struct {
	Process, Object int // indices
	What            What
	// Semaphore is the one that the process waits for, or that another process in a ring
	// waits for; -1 if it is unknown or does not matter.
	Semaphore int
	// Deadlocked is set if it is part of a ring of processes, each of which waits, without a
	// timeout, for a semaphore that the next one operated on last.
	Deadlocked bool
}

// Label returns what the edge is called.
func (e Edge) Label() string {
	if e.Semaphore < 0 {
		return e.What.String()
	}
	return fmt.Sprintf("%v, semaphore %d", e.What, e.Semaphore)
}

// A use is what one process does with one object.
type use struct {
	pid, object int // object is an index in the inventory
	what        What
	semaphore   int // as Edge.Semaphore
	deadlocked  bool
}

// New returns the graph of an inventory that was collected with Want(by). Objects that no
// process is known to use have no edge.
func New(inv *inventory.Inventory, by By, names *account.Directory) *Graph {
	b := &builder{inv: inv, names: names, by: by, processes: make(map[int]*inventory.Process)}
	b.rings()
	for i := range inv.Objects {
		b.object(i)
	}
	b.uses = unique(b.uses)
	return b.fold()
}

// unique sorts uses and keeps one of equal ones.
func unique(uses []use) []use {
	slices.SortFunc(uses, func(x, y use) int {
		return cmp.Or(cmp.Compare(x.pid, y.pid), cmp.Compare(x.object, y.object), cmp.Compare(x.what, y.what), cmp.Compare(x.semaphore, y.semaphore), compareBool(y.deadlocked, x.deadlocked))
	})
	return slices.CompactFunc(uses, func(x, y use) bool {
		x.deadlocked = y.deadlocked
		return x == y
	})
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	default:
		return 1
	}
}

// A builder builds a graph.
type builder struct {
	inv       *inventory.Inventory
	names     *account.Directory
	by        By
	processes map[int]*inventory.Process
	uses      []use
	waiting   map[ring]bool // who waits in a ring, and for which semaphore
	holding   map[ring]bool // who operated last on a semaphore that a ring waits for
}

// A ring is a process and a semaphore that are part of a ring of waits.
type ring struct{ pid, set, semaphore int }

// rings finds the waits that are part of a ring. A wait that has a timeout ends by itself,
// so its ring is left out.
func (b *builder) rings() {
	b.waiting, b.holding = make(map[ring]bool), make(map[ring]bool)
	timed := make(map[int]bool) // threads
	for i := range b.inv.Objects {
		if u := b.inv.Objects[i].Use; u != nil {
			for j := range u.Waiting {
				timed[u.Waiting[j].TID] = u.Waiting[j].Timed
			}
		}
	}
	for _, d := range b.inv.Deadlocks {
		if slices.ContainsFunc(d.Waits, func(w inventory.Wait) bool { return timed[w.TID] }) {
			continue
		}
		for _, w := range d.Waits {
			b.waiting[ring{w.PID, w.Set, w.Semaphore}] = true
			b.holding[ring{w.HolderPID, w.Set, w.Semaphore}] = true
		}
	}
}

func (b *builder) add(p *inventory.Process, object int, what What) *use {
	b.processes[p.PID] = p
	b.uses = append(b.uses, use{pid: p.PID, object: object, what: what, semaphore: -1})
	return &b.uses[len(b.uses)-1]
}

// object adds the uses of an object.
func (b *builder) object(i int) {
	o := &b.inv.Objects[i]
	if o.Use == nil {
		return
	}
	for _, a := range o.Use.Attached {
		b.add(a.Process, i, access(a.ReadOnly))
	}
	mapped := make(map[int]bool)
	for _, m := range o.Use.Mapped {
		mapped[m.PID] = true
		b.add(m.Process, i, access(m.ReadOnly))
	}
	for _, p := range o.Use.Open {
		if !mapped[p.PID] {
			b.add(p.Process, i, Opens)
		}
	}
	for j := range o.Use.Waiting {
		w := &o.Use.Waiting[j]
		u := b.add(w.Process, i, Waits)
		if w.Blocked >= 0 && w.Blocked < len(w.Ops) {
			u.semaphore = int(w.Ops[w.Blocked].Num)
			u.deadlocked = b.waiting[ring{w.PID, o.ID(), u.semaphore}]
		}
	}
	for j := range o.Use.Actors {
		b.actor(i, &o.Use.Actors[j])
	}
}

// actor adds what a living process did last with an object.
func (b *builder) actor(i int, a *inventory.Actor) {
	what, ok := did(a.Role)
	if !ok || a.State != inventory.Alive {
		return
	}
	ringed := false
	for _, num := range a.Sems {
		if b.holding[ring{a.PID, b.inv.Objects[i].ID(), num}] {
			u := b.add(a.Process, i, what)
			u.semaphore, u.deadlocked, ringed = num, true, true
		}
	}
	if !ringed {
		b.add(a.Process, i, what)
	}
}

func access(readOnly bool) What {
	if readOnly {
		return Reads
	}
	return Maps
}

// did returns what a process did that has a role, unless other edges show it.
func did(r inventory.Role) (w What, ok bool) {
	switch r {
	case inventory.Operator:
		return Operated, true
	case inventory.Sender:
		return Sent, true
	case inventory.Receiver:
		return Received, true
	default:
		return 0, false
	}
}

// title returns the name of an object.
func title(o *inventory.Object) string {
	if perm := o.Perm(); perm != nil && perm.Key != 0 {
		return fmt.Sprintf("%v key 0x%08x", o.Ref(), uint32(perm.Key))
	}
	return o.Ref().String()
}

// Text returns the lines of a node: its title with the number, and its facts.
func (n *Node) Text() []string {
	title := n.Title
	if n.Count > 1 {
		title = fmt.Sprintf("%s ×%d", title, n.Count)
	}
	if len(n.Facts) == 0 {
		return []string{title}
	}
	return []string{title, strings.Join(n.Facts, ", ")}
}
