package smartcols

// A columnLayout is a column and its measures.
type columnLayout struct {
	Column
	width   int
	least   int // width of the heading
	longest int // width of the longest cell
	average int // cell width, for a column with NoExtremes
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

// fit narrows the columns to the terminal's width as far as possible: first it ignores
// extremely long cells, which then break the row, then it cuts the columns that may be
// cut.
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

// giveBack gives spare room to extreme columns.
func giveBack(columns []columnLayout, spare int) {
	for i := range columns {
		if c := &columns[i]; c.extreme {
			more := min(spare, c.longest-c.width)
			c.width += more
			spare -= more
		}
	}
}

// cut narrows the columns that may be cut, in turn, by excess in total. No column becomes
// narrower than its heading.
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
