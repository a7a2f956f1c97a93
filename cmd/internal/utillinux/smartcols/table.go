// Package smartcols prints tables like util-linux's library of that name: for people,
// raw, as NAME="value" pairs and as JSON.
package smartcols

// A Format is how a table is printed.
type Format int

const (
	// Human aligns the columns.
	Human Format = iota
	// Raw separates cells by one blank and escapes blanks in them.
	Raw
	// Export prints NAME="value" pairs.
	Export
	// JSON prints an object with one member, an array of objects. All values are
	// strings, or null if empty.
	JSON
)

// A Column is a column of a table.
type Column struct {
	Name  string
	Right bool // aligned to the right
	// Truncate allows cells to be cut if the terminal is too narrow.
	Truncate bool
	// NoExtremes ignores cells more than twice as long as the average if the terminal
	// is too narrow.
	NoExtremes bool
}

// A Style is the look of a table.
type Style struct {
	Format     Format
	Name       string // of JSON's array
	NoHeadings bool
	ShellNames bool // turn column names into valid shell variable names
	Lines      bool // Export: a line for each pair
	UTF8       bool // printable UTF-8 is not escaped
	// Terminal is the width of the terminal, 0 if there is none and nothing is cut.
	Terminal int
}

// A Table is columns, and cells in rows. It prints nothing before all cells are there,
// since they determine the widths.
type Table struct {
	Style
	columns []Column
	cells   cells
	plain   bool     // all cells print unchanged
	lengths []length // of the cells of each column
	rows    int      // completed rows
	next    int      // column of the next cell
	cell    []byte   // the next cell, under construction
}

// A length is the longest and the summed width of a column's cells, in terminal
// columns.
type length struct{ longest, sum int }

// New returns a table without rows.
func New(style Style, columns []Column) *Table {
	return &Table{Style: style, columns: columns, plain: true, lengths: make([]length, len(columns))}
}

// Cell returns a slice to append the next cell's text to.
func (t *Table) Cell() []byte { return t.cell[:0] }

// Add adds what was appended to Cell as a cell. Cells are added row by row.
func (t *Table) Add(text []byte) {
	t.cell = text
	t.cells.add(text)
	width := len(text)
	if !isPlain(text) {
		t.plain = false
		width = t.width(text)
	}
	l := &t.lengths[t.next]
	l.longest = max(l.longest, width)
	l.sum += width
	if t.next++; t.next == len(t.columns) {
		t.next = 0
		t.rows++
	}
}

// names returns the columns' names in the table's style.
func (t *Table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.Name
		if t.ShellNames {
			names[i] = shellName(c.Name)
		}
	}
	return names
}

// shellName replaces characters that a shell variable cannot have; a trailing percent
// sign becomes _PCT.
func shellName(name string) string {
	b := []byte(name)
	for i, c := range b {
		isLetter := 'a' <= c|0x20 && c|0x20 <= 'z'
		isDigit := '0' <= c && c <= '9'
		if !isLetter && !isDigit {
			b[i] = '_'
		}
	}
	if name[len(name)-1] == '%' {
		b = append(b, "PCT"...)
	}
	return string(b)
}
