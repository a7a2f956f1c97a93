package graph

import "testing"

// TestArrange: edges that can be drawn without crossings are.
func TestArrange(t *testing.T) {
	const n = 9
	g := &Graph{Processes: make([]Node, n), Objects: make([]Node, n+1)} // one object has no user
	for i := range n {
		g.Edges = append(g.Edges, Edge{Process: i, Object: (i*4 + 3) % n})
	}
	l := g.arrange()
	for row, p := range l.processes {
		if l.objects[row] != (p*4+3)%n {
			t.Errorf("row %d: process %d beside object %d", row, p, l.objects[row])
		}
	}
	if l.objects[n] != n {
		t.Errorf("the object without users is not last: %v", l.objects)
	}
}
