package graph

import (
	"bufio"
	"fmt"
	"html"
	"io"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

// Measures of a picture, in pixels.
const (
	nodeWidth  = 300
	nodeHeight = 44
	gap        = 14  // between nodes of a side
	middle     = 360 // between the sides
	margin     = 12
)

// maxText is how many characters of a line fit into a node.
const maxText = 40

// style is the style sheet of a picture. It has no effect on a page around it.
const style = `
.ipc{font:13px system-ui,sans-serif;--ink:#1a1a1a;--paper:#fff;--process:#dbe9ff;--object:#e6f4e1;--edge:#666;--alarm:#c00}
@media (prefers-color-scheme:dark){.ipc{--ink:#eee;--paper:#161616;--process:#23375a;--object:#27401f;--edge:#aaa;--alarm:#ff6b6b}}
.ipc .paper{fill:var(--paper)}
.ipc text{fill:var(--ink)}
.ipc .facts{font-size:11px;opacity:.8}
.ipc .process rect{fill:var(--process);stroke:var(--edge)}
.ipc .object rect{fill:var(--object);stroke:var(--edge)}
.ipc .edge path{fill:none;stroke:var(--edge);stroke-width:1.3}
.ipc .dashed path{stroke-dasharray:6 4}
.ipc .dotted path{stroke-dasharray:1.5 4}
.ipc .deadlocked path,.ipc .deadlocked rect{stroke:var(--alarm);stroke-width:2.5}
`

// WriteSVG writes the graph as a picture that needs nothing else. With standalone unset it is
// an element for an HTML page, without its style sheet: see Style.
func (g *Graph) WriteSVG(w io.Writer, standalone bool) error {
	b := bufio.NewWriter(w)
	l := g.arrange()
	rows := max(len(l.processes), len(l.objects), 1)
	width, height := 2*margin+2*nodeWidth+middle, 2*margin+rows*(nodeHeight+gap)-gap
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" class="ipc" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(b, "<title>%d nodes of processes, %d nodes of objects</title>\n", len(g.Processes), len(g.Objects))
	if standalone {
		fmt.Fprintf(b, "<style>%s</style>\n", style)
		fmt.Fprintf(b, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, height)
	}
	left, right := places(l.processes, rows), places(l.objects, rows)
	for i, e := range g.Edges {
		beside := 0 // how many edges join the same nodes
		for beside < i && g.Edges[i-beside-1].Process == e.Process && g.Edges[i-beside-1].Object == e.Object {
			beside++
		}
		g.writeEdge(b, e, left[e.Process], right[e.Object], beside)
	}
	for _, i := range l.processes {
		writeNode(b, &g.Processes[i], "process", i, margin, left[i])
	}
	for _, i := range l.objects {
		writeNode(b, &g.Objects[i], "object", i, margin+nodeWidth+middle, right[i])
	}
	fmt.Fprint(b, "</svg>\n")
	return b.Flush()
}

// Style returns the style sheet of pictures.
func Style() string { return style }

// places returns the upper edge of each node of a side. A side with fewer nodes is spread.
func places(nodes []int, rows int) []int {
	place := make([]int, len(nodes))
	for at, n := range nodes {
		row := (2*at + 1) * rows * (nodeHeight + gap) / (2 * len(nodes))
		place[n] = margin + row - (nodeHeight+gap)/2
	}
	return place
}

func (g *Graph) writeEdge(w io.Writer, e Edge, from, to, beside int) {
	class := "edge"
	switch e.What {
	case Waits:
		class += " dashed"
	case Operated, Sent, Received:
		class += " dotted"
	}
	if e.Deadlocked {
		class += " deadlocked"
	}
	const x1, x2 = margin + nodeWidth, margin + nodeWidth + middle
	const bend = middle / 2
	const apart, most = 6, 4 // so that the lines stay within their nodes
	shift := apart * min(beside, most)
	y1, y2 := from+nodeHeight/3+shift, to+nodeHeight/3+shift
	fmt.Fprintf(w, `<g class="%s"><title>%s %s %s</title><path d="M%d %dC%d %d %d %d %d %d"/></g>`+"\n",
		class, escape(g.Processes[e.Process].Title), e.Label(), escape(g.Objects[e.Object].Title),
		x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
}

func writeNode(w io.Writer, n *Node, class string, i, x, y int) {
	radius := 4
	if class == "object" {
		radius = nodeHeight / 2
	}
	if n.Deadlocked {
		class += " deadlocked"
	}
	text := n.Text()
	fmt.Fprintf(w, `<g class="%s" id="%c%d"><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="%d"/>`,
		class, class[0], i, escape(join(text)), x, y, nodeWidth, nodeHeight, radius)
	const indent, first, second = 16, 18, 34
	fmt.Fprintf(w, `<text x="%d" y="%d">%s</text>`, x+indent, y+first, html.EscapeString(shorten(text[0])))
	if len(text) > 1 {
		fmt.Fprintf(w, `<text class="facts" x="%d" y="%d">%s</text>`, x+indent, y+second, html.EscapeString(shorten(text[1])))
	}
	fmt.Fprint(w, "</g>\n")
}

func join(lines []string) (s string) {
	for i, line := range lines {
		if i > 0 {
			s += ", "
		}
		s += line
	}
	return s
}

// escape makes any text safe for XML and for a reader.
func escape(s string) string { return html.EscapeString(term.Escape(s)) }

// shorten escapes a text for a reader, and cuts it if it does not fit into a node.
func shorten(s string) string {
	s = term.Escape(s)
	runes := []rune(s)
	if len(runes) <= maxText {
		return s
	}
	return string(runes[:maxText-1]) + "…"
}
