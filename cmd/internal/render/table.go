package render

import (
	"iter"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

// Grid is a table ready to draw. Its texts are safe for a terminal and short enough,
// and may contain colour sequences.
type Grid struct {
	Headings []string // nil for a table without headings
	Align    []Align  // of each column
	Rows     [][]string
}

const (
	// minShortened is the minimum width of a shortened column.
	minShortened = 8

	ellipsis = "…"
)

// boxWidth is the width of everything but the cells in a table: a line and two blanks
// for each column, and the last line.
func boxWidth(columns int) int { return 3*columns + 1 }

func (p *printer) table(rows iter.Seq[[]Cell]) error {
	t := newTable(p.columns)
	for cells := range rows {
		if err := p.check(cells); err != nil {
			return err
		}
		t.addRow(cells, &p.options)
	}
	var headings []string
	if !p.options.NoHeadings {
		headings = t.headings
	}
	t.makeRoom(headings)
	if omitted := p.omit(t.widths, boxWidth(1)-boxWidth(0), boxWidth(0)); omitted != nil {
		headings = without(headings, omitted)
		t.without(omitted)
	}
	return p.draw(t, headings)
}

// makeRoom widens the columns for their headings.
func (t *table) makeRoom(headings []string) {
	for i, h := range headings {
		t.widths[i] = max(t.widths[i], term.StringWidth(h))
	}
}

// draw draws a table.
func (p *printer) draw(t *table, headings []string) error {
	t.shorten(p.options.MaxWidth)
	headings = slices.Clone(headings)
	for i, h := range headings {
		headings[i] = t.fit(i, h)
		if p.options.Colour {
			headings[i] = sgrHeading + headings[i] + sgrReset
		}
	}
	for r, row := range t.rows {
		for i, s := range row {
			row[i] = t.fit(i, s)
			if p.options.Colour && t.warned[[2]int{r, i}] {
				row[i] = sgrWarning + row[i] + sgrReset
			}
		}
	}
	draw := p.options.DrawTable
	if draw == nil {
		draw = DrawBox
	}
	return draw(p.w, Grid{Headings: headings, Align: t.align, Rows: t.rows})
}

// table is a Grid under construction.
type table struct {
	headings []string
	align    []Align
	rows     [][]string
	warned   map[[2]int]bool
	widths   []int  // of the columns
	texts    []bool // columns of texts, which may be shortened
}

func newTable(columns []Column) *table {
	t := &table{
		align:  make([]Align, len(columns)),
		warned: make(map[[2]int]bool),
		widths: make([]int, len(columns)),
		texts:  make([]bool, len(columns)),
	}
	for i, c := range columns {
		t.headings = append(t.headings, term.Escape(c.heading()))
		t.align[i] = c.Align
	}
	return t
}

func (t *table) addRow(cells []Cell, o *Options) {
	row := make([]string, len(cells))
	for i := range cells {
		t.set(row, i, &cells[i], o)
	}
	t.rows = append(t.rows, row)
}

// set puts c into column i of a row that is not in rows yet.
func (t *table) set(row []string, i int, c *Cell, o *Options) {
	row[i] = string(appendPeople(nil, c, o))
	t.widths[i] = max(t.widths[i], term.StringWidth(row[i]))
	switch c.kind() {
	case text, list, object, objects:
		t.texts[i] = true
	}
	if c.warn() {
		t.warned[[2]int{len(t.rows), i}] = true
	}
}

// without removes columns.
func (t *table) without(omitted []bool) {
	warned := make(map[[2]int]bool)
	for r, row := range t.rows {
		at := 0
		for i := range row {
			if omitted[i] {
				continue
			}
			if t.warned[[2]int{r, i}] {
				warned[[2]int{r, at}] = true
			}
			at++
		}
		t.rows[r] = without(row, omitted)
	}
	t.warned = warned
	t.headings, t.align = without(t.headings, omitted), without(t.align, omitted)
	t.widths, t.texts = without(t.widths, omitted), without(t.texts, omitted)
}

// shorten narrows the widest text columns, one terminal column at a time, until the
// table fits limit or nothing more can be cut.
func (t *table) shorten(limit int) {
	if limit <= 0 {
		return
	}
	total := boxWidth(len(t.widths))
	for _, w := range t.widths {
		total += w
	}
	for ; total > limit; total-- {
		widest := -1
		for i, w := range t.widths {
			if t.texts[i] && w > minShortened && (widest < 0 || w > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest]--
	}
}

// fit returns s, shortened if it is wider than column i.
func (t *table) fit(i int, s string) string {
	if term.StringWidth(s) <= t.widths[i] {
		return s
	}
	head, _ := term.Truncate(s, t.widths[i]-1)
	return head + ellipsis
}

// tableRecord draws the fields with their values, then each nested listing as a table
// under its heading.
func (p *printer) tableRecord(cells []Cell) error {
	fields := newTable([]Column{{Name: "field"}, {Name: "value"}})
	for i := range cells {
		c := &cells[i]
		if c.isNested() {
			continue
		}
		row := []string{term.Escape(p.columns[i].heading()), ""}
		fields.widths[0] = max(fields.widths[0], term.StringWidth(row[0]))
		fields.set(row, 1, c, &p.options)
		fields.rows = append(fields.rows, row)
	}
	if err := p.draw(fields, nil); err != nil {
		return err
	}
	for i := range cells {
		if !cells[i].isNested() {
			continue
		}
		p.plainHeading(p.columns[i])
		p.buf = append(p.buf, '\n')
		if err := p.flush(); err != nil {
			return err
		}
		n := cells[i].nested()
		inner := printer{w: p.w, columns: n.columns, options: p.options}
		if err := inner.table(n.all); err != nil {
			return err
		}
	}
	return nil
}
