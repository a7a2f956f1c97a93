package smartcols

// columnLayout is a column as it is laid out.
type columnLayout struct {
	Column
	width   int
	least   int // width of the heading
	longest int // width of the longest cell
	average int // of cells, of a column with NoExtremes
	extreme bool
}

// layout measures the columns.
func (t *Table) layout() []columnLayout {
	columns := make([]columnLayout, len(t.columns))
	for i, c := range t.columns {
		columns[i] = columnLayout{Column: c, least: t.width([]byte(c.Name))}
	}
	for i := range columns {
		c := &columns[i]
		c.longest = t.lengths[i].longest
		c.average = t.lengths[i].sum / t.rows
		c.width = max(c.longest, c.least)
		c.extreme = c.NoExtremes && c.average > 0 && c.longest > 2*c.average
	}
	if t.Terminal > 0 {
		t.fit(columns)
	}
	return columns
}

// fit makes the columns as wide as the terminal, as far as that is possible: first
// at the cost of what is extremely long, which then breaks the row, then of what
// may be cut.
func (t *Table) fit(columns []columnLayout) {
	spare := t.Terminal - (len(columns) - 1)
	for i := range columns {
		spare -= columns[i].width
	}
	extremes := 0
	for i := range columns {
		if columns[i].extreme {
			extremes++
		}
	}
	if spare < 0 && extremes > 0 {
		for i := range columns {
			if c := &columns[i]; c.extreme {
				width := t.ordinaryWidth(c, i)
				if width == c.width {
					extremes--
				}
				spare += c.width - width
				c.width = width
			}
		}
	}
	if spare < 0 {
		cut(columns, -spare)
	} else if extremes > 0 {
		giveBack(columns, spare)
	}
}

// ordinaryWidth returns the width of a column without its extreme cells.
func (t *Table) ordinaryWidth(c *columnLayout, column int) int {
	width := c.least
	cells := t.cells.all()
	for i := range t.rows * len(t.columns) {
		text := cells.next()
		if w := t.width(text); i%len(t.columns) == column && w <= 2*c.average {
			width = max(width, w)
		}
	}
	return width
}

// giveBack lets extreme columns have what room there is.
func giveBack(columns []columnLayout, spare int) {
	for i := range columns {
		if c := &columns[i]; c.extreme {
			more := min(spare, c.longest-c.width)
			c.width += more
			spare -= more
		}
	}
}

// cut takes excess off the columns that may be cut, each in its turn, but never
// more than the headings allow.
func cut(columns []columnLayout, excess int) {
	for changed := true; changed && excess > 0; {
		changed = false
		for i := range columns {
			if c := &columns[i]; c.Truncate && c.width > c.least && excess > 0 {
				c.width--
				excess--
				changed = true
			}
		}
	}
}
