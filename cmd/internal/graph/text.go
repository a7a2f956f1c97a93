package graph

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

// WriteDot writes the graph for the programs of Graphviz.
func (g *Graph) WriteDot(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "digraph ipc {\n\trankdir=LR;\n\tnode [fontname=\"sans-serif\"];\n\tedge [fontname=\"sans-serif\", fontsize=10];\n")
	node := func(side string, i int, n *Node, shape string) {
		fmt.Fprintf(b, "\t%s%d [shape=%s, label=%s%s];\n", side, i, shape, quoteDot(n.Text()), colourDot(n.Deadlocked))
	}
	for i := range g.Processes {
		node("p", i, &g.Processes[i], "box")
	}
	for i := range g.Objects {
		node("o", i, &g.Objects[i], "ellipse")
	}
	for _, e := range g.Edges {
		style := ""
		if e.What >= Operated {
			style = ", style=dashed"
		}
		fmt.Fprintf(b, "\tp%d -> o%d [label=%s%s%s];\n", e.Process, e.Object, quoteDot([]string{e.Label()}), style, colourDot(e.Deadlocked))
	}
	fmt.Fprint(b, "}\n")
	return b.Flush()
}

func colourDot(deadlocked bool) string {
	if deadlocked {
		return ", color=red, fontcolor=red, penwidth=2"
	}
	return ""
}

// quoteDot returns lines as a quoted string. A backslash would begin an escape such as \N.
func quoteDot(lines []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	quoted := make([]string, len(lines))
	for i, line := range lines {
		quoted[i] = escape.Replace(term.Escape(line))
	}
	return `"` + strings.Join(quoted, `\n`) + `"`
}

// WriteMermaid writes the graph as a flowchart of Mermaid.
func (g *Graph) WriteMermaid(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "flowchart LR\n")
	class := func(deadlocked bool) string {
		if deadlocked {
			return ":::deadlocked"
		}
		return ""
	}
	for i := range g.Processes {
		n := &g.Processes[i]
		fmt.Fprintf(b, "  p%d[\"%s\"]%s\n", i, quoteMermaid(n.Text()), class(n.Deadlocked))
	}
	for i := range g.Objects {
		n := &g.Objects[i]
		fmt.Fprintf(b, "  o%d([\"%s\"])%s\n", i, quoteMermaid(n.Text()), class(n.Deadlocked))
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.What >= Operated {
			arrow = "-.->"
		}
		if e.Deadlocked {
			arrow = "==>"
		}
		fmt.Fprintf(b, "  p%d %s|\"%s\"| o%d\n", e.Process, arrow, quoteMermaid([]string{e.Label()}), e.Object)
	}
	fmt.Fprint(b, "  classDef deadlocked stroke:#c00,stroke-width:3px,color:#c00\n")
	return b.Flush()
}

// quoteMermaid returns lines for use between quotes. All characters that Markdown, HTML or
// Mermaid may treat as markup are written by their numbers.
func quoteMermaid(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteString("<br>")
		}
		for _, r := range term.Escape(line) {
			plain := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(" ,:/.-×", r)
			if plain || r > '~' {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "#%d;", r)
			}
		}
	}
	return b.String()
}
