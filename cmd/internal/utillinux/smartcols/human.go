package smartcols

import "github.com/sysvipc/gipc/cmd/internal/term"

func (p *printer) human() {
	layout := p.t.layout()
	if !p.t.NoHeadings {
		for column, name := range p.names {
			p.humanCell(layout, column, []byte(name))
		}
		p.buf = append(p.buf, '\n')
	}
	cells := p.t.cells.all()
	for range p.t.rows {
		for column := range p.names {
			p.humanCell(layout, column, cells.next())
		}
		p.buf = append(p.buf, '\n')
		p.flush(chunk)
	}
}

// humanCell prints a cell and the space after it.
func (p *printer) humanCell(layout []columnLayout, column int, text []byte) {
	l := layout[column]
	start := len(p.buf)
	width := p.t.width(text)
	if l.Right && width > 0 {
		p.blanks(l.width - width)
	}
	p.buf = p.t.appendSafe(p.buf, text)
	switch {
	case l.Right && width > 0:
		width = l.width // a wider cell shifts what is right of it
	case width > l.width && l.Truncate:
		var head string
		head, width = term.Truncate(string(p.buf[start:]), l.width)
		p.buf = append(p.buf[:start], head...)
	}
	switch {
	case column == len(layout)-1:
	case width > l.width:
		// The row continues below, in the next column.
		p.buf = append(p.buf, '\n')
		for _, l := range layout[:column+1] {
			p.blanks(l.width + 1)
		}
	default:
		p.blanks(l.width - width + 1)
	}
}

func (p *printer) blanks(n int) {
	const some = "                                "
	for ; n > len(some); n -= len(some) {
		p.buf = append(p.buf, some...)
	}
	if n > 0 {
		p.buf = append(p.buf, some[:n]...)
	}
}
