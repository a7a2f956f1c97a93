package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// few is how many objects that are alike are shown one by one.
const few = 3

// fold makes nodes of processes and of objects that are alike.
func (b *builder) fold() *Graph {
	g := &Graph{}
	nodeOf := b.foldProcesses(g) // by pid
	// The users of each object, as nodes.
	edges := make([][]Edge, len(b.inv.Objects))
	for _, u := range b.uses {
		edges[u.object] = append(edges[u.object], Edge{Process: nodeOf[u.pid], What: u.what, Semaphore: u.semaphore, Deadlocked: u.deadlocked})
	}
	for i := range edges {
		edges[i] = sortEdges(edges[i])
	}
	b.foldObjects(g, edges)
	g.Edges = sortEdges(g.Edges)
	for _, e := range g.Edges {
		if e.Deadlocked {
			g.Processes[e.Process].Deadlocked, g.Objects[e.Object].Deadlocked = true, true
		}
	}
	return g
}

// sortEdges sorts edges and keeps one of equal ones, deadlocked if one of them is.
func sortEdges(list []Edge) []Edge {
	slices.SortFunc(list, func(x, y Edge) int {
		return cmp.Or(cmp.Compare(x.Process, y.Process), cmp.Compare(x.Object, y.Object), cmp.Compare(x.What, y.What), cmp.Compare(x.Semaphore, y.Semaphore), compareBool(y.Deadlocked, x.Deadlocked))
	})
	return slices.CompactFunc(list, func(x, y Edge) bool {
		x.Deadlocked = y.Deadlocked
		return x == y
	})
}

// foldProcesses adds the nodes of processes, and returns the index of each process's node.
func (b *builder) foldProcesses(g *Graph) (nodeOf map[int]int) {
	pids := make([]int, 0, len(b.processes))
	for pid := range b.processes {
		pids = append(pids, pid)
	}
	slices.SortFunc(pids, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.group(x), b.group(y)), cmp.Compare(x, y))
	})
	does := make(map[int]*strings.Builder)
	for _, u := range b.uses {
		if does[u.pid] == nil {
			does[u.pid] = &strings.Builder{}
		}
		fmt.Fprint(does[u.pid], u.object, u.what, u.semaphore, u.deadlocked, ";")
	}
	nodes := make(map[string]int)
	members := make(map[int][]int)
	nodeOf = make(map[int]int)
	for _, pid := range pids {
		key := b.group(pid)
		if b.by == Alike {
			key += fmt.Sprint("\x00", b.processes[pid].UID, does[pid])
		}
		node, ok := nodes[key]
		if !ok {
			node = len(g.Processes)
			nodes[key] = node
			g.Processes = append(g.Processes, Node{})
		}
		nodeOf[pid] = node
		members[node] = append(members[node], pid)
	}
	for i := range g.Processes {
		g.Processes[i] = b.processNode(members[i])
	}
	return nodeOf
}

// group returns the name of the group to which a process belongs.
func (b *builder) group(pid int) string {
	p := b.processes[pid]
	switch b.by {
	case Owner:
		return b.names.UserOrID(p.UID)
	case Container:
		return cmp.Or(p.Container.Name(), "no container")
	case Unit:
		return cmp.Or(unit(p.Container), "no unit")
	default:
		return p.Comm
	}
}

func unit(c procfs.Container) string { return c.Unit }

// processNode returns the node for processes of one group.
func (b *builder) processNode(pids []int) Node {
	n := Node{Title: b.group(pids[0]), Count: len(pids)}
	var users, commands []string
	for _, pid := range pids {
		p := b.processes[pid]
		users, commands = append(users, b.names.UserOrID(p.UID)), append(commands, p.Comm)
	}
	switch {
	case b.by == Alike || b.by == Program:
		n.Facts = some(users)
	default:
		n.Facts = some(commands)
	}
	if len(pids) == 1 {
		n.Facts = append([]string{fmt.Sprint("pid ", pids[0])}, n.Facts...)
	}
	return n
}

// some returns the first few of a list's different texts, in order.
func some(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) > few {
		list = append(list[:few:few], fmt.Sprintf("%d more", len(list)-few))
	}
	return list
}

// foldObjects adds the nodes of objects, with the edges of each object to its users. More
// than a few objects are one node if they have the same kind, owner and users.
func (b *builder) foldObjects(g *Graph, edges [][]Edge) {
	key := func(i int) string {
		o := &b.inv.Objects[i]
		return fmt.Sprint(o.Kind, o.Ownership().UID, o.Removed(), edges[i])
	}
	alike := make(map[string][]int)
	for i := range b.inv.Objects {
		alike[key(i)] = append(alike[key(i)], i)
	}
	for i := range b.inv.Objects {
		members := alike[key(i)]
		folded := len(members) > few
		if folded && members[0] != i {
			continue
		}
		if !folded {
			members = []int{i}
		}
		node := len(g.Objects)
		g.Objects = append(g.Objects, b.objectNode(members))
		for _, e := range edges[i] {
			e.Object = node
			g.Edges = append(g.Edges, e)
		}
	}
}

// objectNode returns the node for objects of one kind and owner.
func (b *builder) objectNode(members []int) Node {
	o := &b.inv.Objects[members[0]]
	n := Node{Title: title(o), Count: len(members), Kind: o.Kind}
	if n.Count > 1 {
		n.Title = o.Kind.Noun() + "s"
	}
	var size, sems, messages uint64
	unread := false
	for _, i := range members {
		m := &b.inv.Objects[i]
		switch m.Kind {
		case ref.Shm:
			size += uint64(m.Segment.Size)
		case ref.PShm:
			size += uint64(m.PShm.Size)
		case ref.Sem:
			sems += uint64(m.Set.NSems)
		case ref.Msg:
			messages += m.Queue.QNum
		case ref.PMsg:
			messages += uint64(max(0, m.PMsg.CurMsgs))
			unread = unread || !m.PMsg.Known
		}
	}
	switch {
	case o.Kind == ref.Shm || o.Kind == ref.PShm:
		n.Facts = append(n.Facts, string(units.AppendSize(nil, size)))
	case o.Kind == ref.Sem:
		n.Facts = append(n.Facts, counted(sems, "semaphore"))
	case (o.Kind == ref.Msg || o.Kind == ref.PMsg) && !unread:
		n.Facts = append(n.Facts, counted(messages, "message"))
	}
	n.Facts = append(n.Facts, b.names.UserOrID(o.Ownership().UID))
	if o.Removed() {
		n.Facts = append(n.Facts, "removed")
	}
	return n
}

func counted(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
