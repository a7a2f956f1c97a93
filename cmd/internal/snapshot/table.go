package snapshot

import (
	"math"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A Table is a listing whose columns may be dropped.
type Table struct {
	Columns []render.Column
	Rows    [][]render.Cell
	// needless marks the columns that tell people nothing.
	needless []bool
}

// Narrow drops the columns that say nothing.
func (t *Table) Narrow() {
	keep := func(list []render.Column) (kept []render.Column) {
		for i := range list {
			if !t.needless[i] {
				kept = append(kept, list[i])
			}
		}
		return kept
	}
	for r, row := range t.Rows {
		kept := row[:0]
		for i := range row {
			if !t.needless[i] {
				kept = append(kept, row[i])
			}
		}
		t.Rows[r] = kept
	}
	t.Columns = keep(t.Columns)
}

// Add adds the rows of a table with the same columns, each after a cell of a first column,
// such as the host.
func (t *Table) Add(first render.Column, cell render.Cell, more *Table) {
	if t.Columns == nil {
		t.Columns = append([]render.Column{first}, more.Columns...)
		t.needless = append([]bool{false}, more.needless...)
	}
	for i := range more.needless {
		t.needless[i+1] = t.needless[i+1] && more.needless[i]
	}
	for _, row := range more.Rows {
		t.Rows = append(t.Rows, append([]render.Cell{cell}, row...))
	}
}

// A tableColumn is a column of gipcs diff, for rows of type T.
type tableColumn[T any] struct {
	name    string
	heading string // the name in capitals if empty
	align   render.Align
	rank    int // see render.Column
	cell    func(T) render.Cell
	// idle, unless nil, reports whether a row's value tells people nothing, such as 0 or
	// unknown. If that is so in every row, the column is needless.
	idle func(T) bool
}

func newTable[T any](columns []tableColumn[T], rows []T) *Table {
	t := &Table{needless: make([]bool, len(columns)), Rows: make([][]render.Cell, len(rows))}
	for i, c := range columns {
		heading := c.heading
		if heading == "" {
			heading = strings.ToUpper(c.name)
		}
		t.Columns = append(t.Columns, render.Column{Name: c.name, Heading: heading, Align: c.align, Rank: c.rank})
		t.needless[i] = c.idle != nil
	}
	for r := range rows {
		t.Rows[r] = make([]render.Cell, len(columns))
		for i, c := range columns {
			t.Rows[r][i] = c.cell(rows[r])
			t.needless[i] = t.needless[i] && c.idle(rows[r])
		}
	}
	return t
}

// ChangeTable lists the changes one by one.
func ChangeTable(d *Diff) *Table {
	type change = *Change
	text := func(name string) func(change) render.Cell {
		return func(c change) render.Cell { return textCell(d.Text(c, name)) }
	}
	columns := []tableColumn[change]{
		{name: "change", cell: func(c change) render.Cell { return render.Text(c.What.String()) }},
		{name: "kind", cell: func(c change) render.Cell { return render.Text(c.Object().Kind.String()) }},
		{name: "id", align: render.Right, cell: idCell, idle: func(c change) bool { return c.Object().Kind.POSIX() }},
		{name: "key", rank: 6, cell: keyCell, idle: func(c change) bool { return c.Object().Kind.POSIX() }},
		{name: "name", cell: nameCell, idle: func(c change) bool { return !c.Object().Kind.POSIX() }},
		{name: "owner", rank: 5, cell: text("owner")},
		{name: "program", cell: text("program")},
	}
	for _, q := range []struct {
		name string
		of   func(change) Quantity
		size bool
	}{
		{"size", change.Bytes, true},
		{"messages", change.Messages, false},
		{"nattch", change.Attachments, false},
		{"nsems", change.Semaphores, false},
	} {
		number, delta := quantityCells(q.size)
		idle := func(c change) bool { return !q.of(c).Known }
		columns = append(columns,
			tableColumn[change]{name: q.name, align: render.Right, rank: 4, idle: idle, cell: func(c change) render.Cell { return ifKnown(q.of(c), number(c.Latest(q.of(c)))) }},
			tableColumn[change]{name: q.name + "_change", heading: "+" + strings.ToUpper(q.name), align: render.Right, idle: func(c change) bool {
				return q.of(c).Delta() == 0 || q.name != "size" && (c.Before == nil || c.After == nil)
			}, cell: func(c change) render.Cell { return ifKnown(q.of(c), delta(q.of(c).Delta())) }},
		)
	}
	columns = append(columns, tableColumn[change]{name: "ctime", rank: 7, cell: func(c change) render.Cell { return render.Time(c.Created()) }})
	rows := make([]change, len(d.Changes))
	for i := range rows {
		rows[i] = &d.Changes[i]
	}
	return newTable(columns, rows)
}

func ifKnown(q Quantity, c render.Cell) render.Cell {
	if !q.Known {
		return render.Unknown()
	}
	return c
}

func textCell(t groups.Value) render.Cell {
	if !t.Known {
		return render.Unknown()
	}
	return render.Text(t.Text)
}

func idCell(c *Change) render.Cell {
	if c.Object().Kind.POSIX() {
		return render.Unknown()
	}
	return render.Int(int64(c.Object().ID))
}

func nameCell(c *Change) render.Cell {
	if !c.Object().Kind.POSIX() {
		return render.Unknown()
	}
	return render.Text(c.Object().Name)
}

func keyCell(c *Change) render.Cell {
	key, known := c.Key()
	if !known {
		return render.Unknown()
	}
	return render.Hex(uint64(key), 8)
}

// quantityCells returns how to show a quantity and its change.
func quantityCells(size bool) (number, delta func(int64) render.Cell) {
	if size {
		return func(n int64) render.Cell { return render.Size(uint64(n)) }, render.SizeChange
	}
	return render.Int, render.Change
}

// SumTable lists sums, with rates per hour.
func SumTable(d *Diff, by []string) *Table {
	type sum = *Group
	var columns []tableColumn[sum]
	for i, name := range by {
		columns = append(columns, tableColumn[sum]{name: name, cell: func(s sum) render.Cell { return textCell(s.Key[i]) }})
	}
	columns = append(columns,
		tableColumn[sum]{name: "came", align: render.Right, rank: 3, cell: func(s sum) render.Cell { return render.Int(s.Sum.Came) }},
		tableColumn[sum]{name: "went", align: render.Right, rank: 4, cell: func(s sum) render.Cell { return render.Int(s.Sum.Went) }},
	)
	for i, q := range []struct {
		name string
		of   func(sum) Quantity
		size bool
	}{
		{"objects", func(s sum) Quantity { return s.Sum.Objects }, false},
		{"bytes", func(s sum) Quantity { return s.Sum.Bytes }, true},
		{"messages", func(s sum) Quantity { return s.Sum.Messages }, false},
		{"semaphores", func(s sum) Quantity { return s.Sum.Semaphores }, false},
		{"attachments", func(s sum) Quantity { return s.Sum.Attachments }, false},
	} {
		number, delta := quantityCells(q.size)
		heading := strings.ToUpper(q.name)
		idle := func(s sum) bool { return q.of(s).Delta() == 0 }
		if q.name == "objects" || q.name == "bytes" {
			idle = nil
		}
		columns = append(columns,
			tableColumn[sum]{name: q.name, align: render.Right, rank: 5 + i, idle: idle, cell: func(s sum) render.Cell { return number(q.of(s).After) }},
			tableColumn[sum]{name: q.name + "_change", heading: "+" + heading, align: render.Right, idle: idle, cell: func(s sum) render.Cell { return delta(q.of(s).Delta()) }},
			tableColumn[sum]{name: q.name + "_per_hour", heading: heading + "/H", align: render.Right, rank: max(0, i-1), idle: idle, cell: func(s sum) render.Cell { return rateCell(d, q.of(s), q.size) }},
		)
	}
	return newTable(columns, d.Sums(by))
}

// rateCell shows how much a quantity grew per hour: bytes in whole numbers, others in
// tenths.
func rateCell(d *Diff, q Quantity, size bool) render.Cell {
	rate, known := d.PerHour(q)
	const most = 1 << 63
	switch {
	case !known:
		return render.Unknown()
	case !size:
		return render.Float(rate, 1)
	case rate >= most || rate < -most:
		return render.Float(rate, 0)
	default:
		return render.SizeChange(int64(math.Round(rate)))
	}
}
