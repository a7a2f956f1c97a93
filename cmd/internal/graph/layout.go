package graph

import (
	"cmp"
	"slices"
)

// A layout is the order of the nodes from top to bottom, as indices.
type layout struct{ processes, objects []int }

// arrange orders both sides so that few edges cross: each node comes near the mean position
// of its neighbours (Sugiyama's barycentre method for two layers).
func (g *Graph) arrange() layout {
	const rounds = 8
	l := layout{processes: count(len(g.Processes)), objects: count(len(g.Objects))}
	users, used := make([][]int, len(g.Objects)), make([][]int, len(g.Processes))
	for _, e := range g.Edges {
		users[e.Object] = append(users[e.Object], e.Process)
		used[e.Process] = append(used[e.Process], e.Object)
	}
	for range rounds {
		order(l.objects, l.processes, users)
		order(l.processes, l.objects, used)
	}
	return l
}

// count returns the numbers from 0 up to n.
func count(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// order sorts the nodes of one side by the mean position of their neighbours on the other
// side. Nodes without neighbours come last.
func order(nodes, others []int, neighbours [][]int) {
	position := make([]int, len(others))
	for i, n := range others {
		position[n] = i
	}
	mean := make([]float64, len(nodes))
	for n, list := range neighbours {
		for _, other := range list {
			mean[n] += float64(position[other]) / float64(len(list))
		}
		if len(list) == 0 {
			mean[n] = float64(len(others))
		}
	}
	slices.SortStableFunc(nodes, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
}
