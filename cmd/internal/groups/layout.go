package groups

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A Layout describes a listing of groups: what is summed up, what is shown, and the order.
type Layout struct {
	By       By
	Measures []Measure // objects first, then what is shown or sorted by
	shown    []int     // see column
	order    []criterion
}

type criterion struct {
	column     int
	descending bool
}

// NewLayout parses the columns to group by, to show and to sort by. Those in show and sort
// are columns of by, or measures. If show is "", all are shown; if sort is "", the largest
// groups come first. A leading - reverses the order of its column.
func NewLayout(by, show, sort string) (*Layout, error) {
	l := &Layout{Measures: Measures()}
	var err error
	if l.By, err = Parse(by); err != nil {
		return nil, err
	}
	for i := range len(l.By) + len(l.Measures) {
		l.shown = append(l.shown, i)
	}
	if show != "" {
		if l.shown, err = l.columns(show); err != nil {
			return nil, err
		}
	}
	if sort != "" {
		for name := range strings.SplitSeq(sort, ",") {
			name, descending := strings.CutPrefix(name, "-")
			column, err := l.column(name)
			if err != nil {
				return nil, err
			}
			l.order = append(l.order, criterion{column, descending})
		}
	}
	l.drop()
	return l, nil
}

// column returns the index of a column of by or of a measure. The measures follow the
// columns.
func (l *Layout) column(name string) (int, error) {
	same := func(known string) bool { return strings.EqualFold(known, name) }
	names := l.By.Names()
	for i := range l.Measures {
		names = append(names, l.Measures[i].Name)
	}
	i := slices.IndexFunc(names, same)
	if i < 0 {
		return 0, fmt.Errorf("groups have no column %q; their columns are %s", name, strings.Join(names, " "))
	}
	return i, nil
}

// columns parses a list of columns. With a leading + it adds to those of By.
func (l *Layout) columns(text string) (list []int, err error) {
	if more, ok := strings.CutPrefix(text, "+"); ok {
		for i := range l.By {
			list = append(list, i)
		}
		text = more
	}
	for name := range strings.SplitSeq(text, ",") {
		i, err := l.column(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list, nil
}

// drop removes the measures that are neither shown nor sorted by, so that they need not be
// collected.
func (l *Layout) drop() {
	needed := append([]int{len(l.By)}, l.shown...) // objects, and what is shown
	for _, c := range l.order {
		needed = append(needed, c.column)
	}
	place := make(map[int]int)
	for i := range l.By {
		place[i] = i
	}
	var kept []Measure
	for i, m := range l.Measures {
		if column := len(l.By) + i; slices.Contains(needed, column) {
			place[column] = len(l.By) + len(kept)
			kept = append(kept, m)
		}
	}
	l.Measures = kept
	for i := range l.shown {
		l.shown[i] = place[l.shown[i]]
	}
	for i := range l.order {
		l.order[i].column = place[l.order[i].column]
	}
}

// Want returns what must be collected for the layout.
func (l *Layout) Want() inventory.Want {
	want := l.By.Want()
	for i := range l.Measures {
		want |= l.Measures[i].Want()
	}
	return want
}

// Columns returns the columns for package render. If none were chosen by name, a narrow
// terminal may omit some.
func (l *Layout) Columns() []render.Column {
	columns := make([]render.Column, len(l.shown))
	for i, n := range l.shown {
		if n < len(l.By) {
			columns[i] = fields.List(l.By).Columns()[n]
			continue
		}
		name := l.Measures[n-len(l.By)].Name
		columns[i] = render.Column{Name: name, Heading: strings.ToUpper(name), Align: render.Right}
	}
	return columns
}

// Fill stores the cells of a group, one for each column, in cells.
func (l *Layout) Fill(cells []render.Cell, g *Group[[]Count]) {
	for i, n := range l.shown {
		if n < len(l.By) {
			cells[i] = cellOf(g.Key[n])
		} else {
			n -= len(l.By)
			cells[i] = l.Measures[n].cell(g.Sum[n])
		}
	}
}

// Restore marks the sizes among cells that were read from JSON, which does not say what is
// a size.
func (l *Layout) Restore(cells []render.Cell) {
	for i, n := range l.shown {
		if n >= len(l.By) && l.Measures[n-len(l.By)].Bytes {
			cells[i] = cells[i].AsSize()
		}
	}
}

func cellOf(v Value) render.Cell {
	if !v.Known {
		return render.Unknown()
	}
	return render.Text(v.Text)
}

func (m *Measure) cell(c Count) render.Cell {
	switch {
	case !c.Known():
		return render.Unknown()
	case m.Bytes:
		return render.Size(c.N)
	case m.Name == "orphans" && c.N > 0:
		return render.Uint(c.N).Warn()
	default:
		return render.Uint(c.N)
	}
}

// Compare returns a negative number if a comes before b, a positive one if it comes after.
// Unknown values come last.
func (l *Layout) Compare(a, b *Group[[]Count]) int {
	for _, c := range l.order {
		if n := l.compare(c, a, b); n != 0 {
			return n
		}
	}
	return cmp.Or(compareCounts(a.Sum[0], b.Sum[0], true), Compare(a.Key, b.Key))
}

func (l *Layout) compare(c criterion, a, b *Group[[]Count]) int {
	if n := c.column - len(l.By); n >= 0 {
		return compareCounts(a.Sum[n], b.Sum[n], c.descending)
	}
	x, y := a.Key[c.column], b.Key[c.column]
	if c.descending && x.Known && y.Known {
		x, y = y, x
	}
	return x.compare(y)
}

func compareCounts(a, b Count, descending bool) int {
	switch {
	case a.Known() != b.Known():
		if a.Known() {
			return -1
		}
		return 1
	case !a.Known():
		return 0
	case descending:
		a, b = b, a
	}
	return cmp.Compare(a.N, b.N)
}
