package graph_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/graph"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func process(pid int, comm string) *inventory.Process {
	return &inventory.Process{PID: pid, Comm: comm, UID: 4_000_000}
}

func segment(id int, users ...*inventory.Process) inventory.Object {
	o := inventory.Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{ID: id, Size: 4096}, Use: &inventory.Use{}}
	for _, p := range users {
		o.Use.Attached = append(o.Use.Attached, inventory.Attacher{Process: p})
	}
	return o
}

// ring returns a set over which n processes wait in a ring.
func ring(n int, timed bool) *inventory.Inventory {
	o := inventory.Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 5, NSems: n}, Use: &inventory.Use{}}
	inv := &inventory.Inventory{}
	var d inventory.Deadlock
	for i := range n {
		p, next := process(100+i, "locker"), (i+1)%n
		o.Use.Waiting = append(o.Use.Waiting, inventory.Waiter{Process: p, TID: p.PID, Ops: []sysv.Op{{Num: uint16(next), Add: -1}}, Timed: timed && i == 0})
		o.Use.Actors = append(o.Use.Actors, inventory.Actor{Role: inventory.Operator, PID: p.PID, State: inventory.Alive, Process: p, Sems: []int{i}})
		d.Waits = append(d.Waits, inventory.Wait{PID: p.PID, TID: p.PID, Set: 5, Semaphore: next, HolderPID: 100 + next})
	}
	inv.Objects, inv.Deadlocks = []inventory.Object{o}, []inventory.Deadlock{d}
	return inv
}

// lines describes a graph.
func lines(g *graph.Graph) (list []string) {
	for _, e := range g.Edges {
		mark := ""
		if e.Deadlocked {
			mark = " !"
		}
		list = append(list, fmt.Sprintf("%s | %s | %s%s", strings.Join(g.Processes[e.Process].Text(), "; "), e.Label(), strings.Join(g.Objects[e.Object].Text(), "; "), mark))
	}
	for i := range g.Objects {
		if !slices.ContainsFunc(g.Edges, func(e graph.Edge) bool { return e.Object == i }) {
			list = append(list, strings.Join(g.Objects[i].Text(), "; "))
		}
	}
	return list
}

func TestGraph(t *testing.T) {
	a, b, c := process(1, "worker"), process(2, "worker"), process(3, "other")
	var alike []inventory.Object
	for i := range 5 {
		alike = append(alike, segment(10+i))
	}
	readOnly := segment(1, a)
	readOnly.Use.Attached[0].ReadOnly = true
	queue := inventory.Object{Kind: ref.PMsg, PMsg: &posix.QueueInfo{FileInfo: posix.FileInfo{Name: "/q"}}, Use: &inventory.Use{
		Open: []inventory.Opener{{Process: c}},
	}}
	memory := inventory.Object{Kind: ref.PShm, PShm: &posix.FileInfo{Name: "/m", Size: 1 << 20, Links: 1}, Use: &inventory.Use{
		Mapped: []inventory.Mapper{{Process: a}}, Open: []inventory.Opener{{Process: a}, {Process: b}},
	}}
	for _, tt := range []struct {
		what    string
		by      graph.By
		objects []inventory.Object
		want    []string
	}{
		{"alike", graph.Alike, []inventory.Object{segment(1, a, b, c)}, []string{"other; pid 3, 4000000 | maps | shm:1; 4K, 0", "worker ×2; 4000000 | maps | shm:1; 4K, 0"}},
		{"not alike", graph.Alike, []inventory.Object{segment(1, a, b), segment(2, b)}, []string{
			"worker; pid 1, 4000000 | maps | shm:1; 4K, 0", "worker; pid 2, 4000000 | maps | shm:1; 4K, 0", "worker; pid 2, 4000000 | maps | shm:2; 4K, 0",
		}},
		{"by program", graph.Program, []inventory.Object{segment(1, a, b), segment(2, b)}, []string{"worker ×2; 4000000 | maps | shm:1; 4K, 0", "worker ×2; 4000000 | maps | shm:2; 4K, 0"}},
		{"by owner", graph.Owner, []inventory.Object{segment(1, a, c)}, []string{"4000000 ×2; other, worker | maps | shm:1; 4K, 0"}},
		{"by unit", graph.Unit, []inventory.Object{segment(1, a)}, []string{"no unit; pid 1, worker | maps | shm:1; 4K, 0"}},
		{"read-only", graph.Alike, []inventory.Object{readOnly}, []string{"worker; pid 1, 4000000 | reads | shm:1; 4K, 0"}},
		{"objects alike", graph.Alike, alike, []string{"shared memory segments ×5; 20K, 0"}},
		{"few objects alike", graph.Alike, alike[:2], []string{"shm:10; 4K, 0", "shm:11; 4K, 0"}},
		{"POSIX", graph.Alike, []inventory.Object{memory, queue}, []string{
			"other; pid 3, 4000000 | has open | pmsg:/q; 0", "worker; pid 1, 4000000 | maps | pshm:/m; 1M, 0", "worker; pid 2, 4000000 | has open | pshm:/m; 1M, 0",
		}},
	} {
		got := lines(graph.New(&inventory.Inventory{Objects: tt.objects}, tt.by, &account.Directory{}))
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "root", "0")
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.what, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// TestDeadlock: a ring of waits is marked, unless one of them has a timeout.
func TestDeadlock(t *testing.T) {
	marked := func(timed bool, by graph.By) (n int) {
		for _, line := range lines(graph.New(ring(3, timed), by, account.New())) {
			if strings.HasSuffix(line, " !") {
				n++
			}
		}
		return n
	}
	if n := marked(false, graph.Alike); n != 6 {
		t.Errorf("%d edges of a ring of 3 are marked, want 6", n)
	}
	if n := marked(false, graph.Program); n != 6 {
		t.Errorf("by program, %d edges of a ring of 3 are marked, want 6", n)
	}
	if n := marked(true, graph.Alike); n != 0 {
		t.Errorf("%d edges are marked although a wait has a timeout", n)
	}
}

// hostile returns names that mean something to the formats.
func hostile() *inventory.Inventory {
	const name = "\"]; x\\N <script>alert(1)</script>&#60;`$(x)`\n\x1b[2J\xff--> end %% \u202e"
	return &inventory.Inventory{Objects: []inventory.Object{
		{Kind: ref.PShm, PShm: &posix.FileInfo{Name: "/" + name, Links: 1}, Use: &inventory.Use{Mapped: []inventory.Mapper{{Process: process(1, "\"\\<b>\n&")}}}},
	}}
}

func write(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSVG: a picture is well-formed, refers to nothing outside, and shows names as text.
func TestSVG(t *testing.T) {
	g := graph.New(hostile(), graph.Alike, account.New())
	text := write(t, func(w io.Writer) error { return g.WriteSVG(w, true) })
	elements := make(map[string]int)
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
			for _, a := range start.Attr {
				if a.Name.Local != "xmlns" && strings.Contains(a.Value, ":") {
					t.Errorf("the attribute %s is %q", a.Name.Local, a.Value)
				}
			}
		}
	}
	if elements["script"] > 0 || elements["a"] > 0 || elements["image"] > 0 || elements["path"] != 1 || elements["rect"] != 3 {
		t.Errorf("elements: %v", elements)
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("unprintable characters in\n%s", text)
	}
}

// TestDot: Graphviz accepts the graph, and sees one edge and two nodes.
func TestDot(t *testing.T) {
	g := graph.New(hostile(), graph.Alike, account.New())
	text := write(t, g.WriteDot)
	if n := strings.Count(text, "\n"); n != 8 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("needs graphviz: ", err)
	}
	cmd := exec.Command(dot, "-Tsvg")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), `class="node"`) != 2 || strings.Count(string(out), `class="edge"`) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), `x\\N`) { // \N would be the name of the node
		t.Errorf("a backslash is lost:\n%s", out)
	}
}

// TestMermaid: names do not leave their quotes.
func TestMermaid(t *testing.T) {
	g := graph.New(hostile(), graph.Alike, account.New())
	text := write(t, g.WriteMermaid)
	for line := range strings.Lines(text) {
		if n := strings.Count(line, `"`); n != 0 && n != 2 {
			t.Errorf("%d quotes in %s", n, line)
		}
		if quoted := strings.Split(line, `"`); len(quoted) == 3 && strings.ContainsAny(strings.ReplaceAll(quoted[1], "<br>", ""), "<>&`%[]()\\") {
			t.Errorf("markup in %s", line)
		}
	}
	if n := strings.Count(text, "\n"); n != 5 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// TestDeterministic: the same inventory gives the same picture.
func TestDeterministic(t *testing.T) {
	inv := &inventory.Inventory{}
	for i := range 60 {
		var users []*inventory.Process
		for j := range 40 {
			if (i*7+j*13)%11 == 0 {
				users = append(users, process(j+1, fmt.Sprint("program", j%9)))
			}
		}
		inv.Objects = append(inv.Objects, segment(i, users...))
	}
	picture := func() string {
		g := graph.New(inv, graph.Alike, account.New())
		return write(t, func(w io.Writer) error { return g.WriteSVG(w, true) })
	}
	first := picture()
	for range 5 {
		if picture() != first {
			t.Fatal("two pictures of one inventory differ")
		}
	}
}
