package render

import (
	"iter"
	"unicode/utf8"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

const (
	columnGap = 2

	sgrHeading = "\x1b[1m"
	sgrWarning = "\x1b[1;33m"
	sgrReset   = "\x1b[0m"
)

// sheet holds the texts of a listing until the widths of its columns are known.
type sheet struct {
	blocks []block
	warned []int // indices of the cells marked as warnings, ascending
	cells  int
	widths []int // of the columns, in terminal columns
	// wide says which columns have cells whose width differs from their length.
	wide []bool
}

// block holds some complete rows: their texts, contiguous, and the length of each.
type block struct {
	text    []byte
	lengths []uint8 // longLength for a cell whose length is in long
	long    []int
}

const longLength = 255

func newSheet(columns int) *sheet {
	return &sheet{blocks: make([]block, 1), widths: make([]int, columns), wide: make([]bool, columns)}
}

// row returns the block for the next row. A full block is never moved, so growth copies
// nothing.
func (s *sheet) row() *block {
	last := &s.blocks[len(s.blocks)-1]
	if len(last.text) < chunk {
		return last
	}
	s.blocks = append(s.blocks, block{
		text:    make([]byte, 0, len(last.text)+len(last.text)/8),
		lengths: make([]uint8, 0, len(last.lengths)+len(last.lengths)/8),
	})
	return &s.blocks[len(s.blocks)-1]
}

// add records a cell of the given column, just appended to b's text. ascii reports whether
// it can only be ASCII.
func (s *sheet) add(b *block, column int, cell []byte, ascii, warn bool) {
	width := len(cell)
	if !ascii && !isASCII(cell) {
		width = term.BytesWidth(cell)
		s.wide[column] = true
	}
	s.widths[column] = max(s.widths[column], width)
	if warn {
		s.warned = append(s.warned, s.cells)
	}
	s.cells++
	if len(cell) < longLength {
		b.lengths = append(b.lengths, uint8(len(cell)))
	} else {
		b.lengths = append(b.lengths, longLength)
		b.long = append(b.long, len(cell))
	}
}

// orDash returns text, with a dash appended if it has nothing after start.
func orDash(text []byte, start int) []byte {
	if len(text) == start {
		return append(text, '-')
	}
	return text
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (p *printer) plain(rows iter.Seq[[]Cell], indent string) error {
	s := newSheet(len(p.columns))
	if !p.options.NoHeadings {
		b := s.row()
		for i, c := range p.columns {
			heading := orDash(term.AppendEscape(nil, c.heading()), 0)
			b.text = append(b.text, heading...)
			s.add(b, i, heading, false, false)
		}
	}
	for cells := range rows {
		if err := p.check(cells); err != nil {
			return err
		}
		b := s.row()
		text := b.text
		for i := range cells {
			c := &cells[i]
			start := len(text)
			text = orDash(appendPeople(text, c, &p.options), start)
			s.add(b, i, text[start:], c.isASCII(&p.options), c.warn())
		}
		b.text = text
	}
	return p.layOut(s, indent)
}

// isASCII reports whether the text of c for people is ASCII for every value.
func (c *Cell) isASCII(o *Options) bool {
	switch c.kind() {
	case text, list, object, objects:
		return false
	case moment:
		return o.TimeLayout == ""
	}
	return true
}

// layOut writes the cells of s in aligned columns.
func (p *printer) layOut(s *sheet, indent string) error {
	bold := p.options.Colour && !p.options.NoHeadings
	number := 0 // index of the cell
	warned := s.warned
	omitted := p.omit(s.widths, columnGap, len(indent)-columnGap)
	buf := p.buf
	for _, b := range s.blocks {
		text, long, column := b.text, b.long, 0
		for _, l := range b.lengths {
			length := int(l)
			if l == longLength {
				length, long = long[0], long[1:]
			}
			cell := text[:length]
			text = text[length:]
			pad := s.widths[column] - s.width(column, cell)
			if column == 0 {
				buf = append(buf, indent...)
				if bold {
					buf = append(buf, sgrHeading...)
				}
			}
			if len(warned) > 0 && warned[0] == number {
				warned = warned[1:]
				cell = p.coloured(cell)
			}
			number++
			if omitted == nil || !omitted[column] {
				if p.columns[column].Align == Right {
					buf = appendBlanks(buf, pad)
					pad = 0
				}
				buf = append(buf, cell...)
				buf = appendBlanks(buf, pad+columnGap)
			}
			if column++; column < len(p.columns) {
				continue
			}
			column = 0
			buf = trimBlanks(buf)
			if bold {
				buf = append(buf, sgrReset...)
				bold = false
			}
			buf = append(buf, '\n')
			if len(buf) >= chunk {
				p.buf = buf
				if err := p.flush(); err != nil {
					return err
				}
				buf = p.buf
			}
		}
	}
	p.buf = buf
	return p.flush()
}

// width returns how many terminal columns a cell of the given column takes.
func (s *sheet) width(column int, cell []byte) int {
	if s.wide[column] {
		return term.BytesWidth(cell)
	}
	return len(cell)
}

// coloured returns cell in the warning colour if colours are on. The next call reuses
// its memory.
func (p *printer) coloured(cell []byte) []byte {
	if !p.options.Colour {
		return cell
	}
	p.scratch = append(append(append(p.scratch[:0], sgrWarning...), cell...), sgrReset...)
	return p.scratch
}

func appendBlanks(dst []byte, n int) []byte {
	const blanks = "                                "
	for ; n > len(blanks); n -= len(blanks) {
		dst = append(dst, blanks...)
	}
	return append(dst, blanks[:n]...)
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// plainRecord writes "heading: value" lines, then each nested listing under its
// heading.
func (p *printer) plainRecord(cells []Cell) error {
	width := 0
	for i := range cells {
		if !cells[i].isNested() {
			width = max(width, term.StringWidth(term.Escape(p.columns[i].heading())))
		}
	}
	for i := range cells {
		c := &cells[i]
		if c.isNested() {
			continue
		}
		p.plainHeading(p.columns[i])
		p.buf = appendBlanks(p.buf, width-term.StringWidth(term.Escape(p.columns[i].heading()))+columnGap)
		value := p.people(c)
		indent := width + 1 + columnGap
		switch {
		case len(value) == 0:
			p.buf = append(p.buf, '-')
		case c.kind() == list && p.options.MaxWidth > 0 && indent+term.BytesWidth(value) > p.options.MaxWidth:
			p.oneALine(c, indent)
		case c.warn() && p.options.Colour:
			p.buf = append(append(append(p.buf, sgrWarning...), value...), sgrReset...)
		default:
			p.buf = append(p.buf, value...)
		}
		p.buf = append(trimBlanks(p.buf), '\n')
	}
	for i := range cells {
		if !cells[i].isNested() {
			continue
		}
		p.plainHeading(p.columns[i])
		n := cells[i].nested()
		if len(n.rows) == 0 {
			p.buf = append(p.buf, "  -\n"...)
			continue
		}
		p.buf = append(p.buf, '\n')
		inner := printer{w: p.w, columns: n.columns, options: p.options, buf: p.buf}
		if err := inner.plain(n.all, "  "); err != nil {
			return err
		}
		p.buf = inner.buf
	}
	return p.flush()
}

// oneALine appends the items of a list with a line for each.
func (p *printer) oneALine(c *Cell, indent int) {
	items := c.items()
	for i := range items {
		if i > 0 {
			p.buf = appendBlanks(append(p.buf, '\n'), indent)
		}
		p.buf = append(p.buf, p.people(&items[i])...)
	}
}

// plainHeading appends the heading of a field and a colon.
func (p *printer) plainHeading(c Column) {
	if p.options.Colour {
		p.buf = append(p.buf, sgrHeading...)
	}
	p.buf = append(term.AppendEscape(p.buf, c.heading()), ':')
	if p.options.Colour {
		p.buf = append(p.buf, sgrReset...)
	}
}
