// Package smartcols prints tables as util-linux's library of that name does: to
// people, raw, as NAME="value" pairs and as JSON.
package smartcols

// Format is how a table is printed.
type Format int

const (
	// Human lines columns up.
	Human Format = iota
	// Raw separates cells by one blank; blanks in them are escaped.
	Raw
	// Export prints NAME="value" pairs.
	Export
	// JSON prints an object that has one member, an array of objects. All values
	// are strings, or null if they are empty.
	JSON
)

// Column is a column of a table.
type Column struct {
	Name  string
	Right bool // aligned to the right
	// Truncate lets cells be cut where the terminal is too narrow.
	Truncate bool
	// NoExtremes leaves cells that are more than twice as long as the average
	// out of account where the terminal is too narrow.
	NoExtremes bool
}

// Style is what a table looks like.
type Style struct {
	Format     Format
	Name       string // of the array in JSON
	NoHeadings bool
	ShellNames bool // makes names of columns such as a shell allows for variables
	Lines      bool // Export: a line for each pair
	UTF8       bool // text that prints stands as it is, not in hexadecimal
	// Terminal is how wide the terminal is, 0 for none, where nothing is cut.
	Terminal int
}

// A Table is columns and cells, in rows. Nothing is printed before all cells are
// there, since they make the widths.
type Table struct {
	Style
	columns []Column
	cells   cells
	plain   bool     // whether all cells are printed as they are
	lengths []length // of the cells of each column
	rows    int      // complete ones
	next    int      // column of the next cell
	cell    []byte   // the next cell, while it is made
}

// length is how long the cells of a column are, in columns of a terminal.
type length struct{ longest, sum int }

// New returns a table without rows.
func New(style Style, columns []Column) *Table {
	return &Table{Style: style, columns: columns, plain: true, lengths: make([]length, len(columns))}
}

// Cell returns what the text of the next cell is to be appended to.
func (t *Table) Cell() []byte { return t.cell[:0] }

// Add makes a cell of what was appended to Cell. Cells are added row by row.
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

// names returns the columns' names as the style wants them.
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

// shellName replaces what a variable of a shell can not be called; a percent sign
// at the end becomes _PCT.
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
