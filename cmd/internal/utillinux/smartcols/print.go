package smartcols

import (
	"io"
	"strings"
)

// Print prints the table. Without rows, only JSON prints anything.
func (t *Table) Print(w io.Writer) error {
	p := printer{t: t, w: w, names: t.names()}
	switch {
	case t.Format == JSON:
		p.json()
	case t.rows == 0:
	case t.Format == Human:
		p.human()
	default:
		p.machine()
	}
	p.flush(0)
	return p.err
}

// A printer collects output and writes it in large pieces.
type printer struct {
	t     *Table
	w     io.Writer
	names []string
	buf   []byte
	err   error
}

const chunk = 32 << 10

// flush writes what was collected if it is more than atLeast bytes.
func (p *printer) flush(atLeast int) {
	if len(p.buf) <= atLeast {
		return
	}
	if p.err == nil {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}

func (p *printer) machine() {
	t := p.t
	separator := byte(' ')
	if t.Lines {
		separator = '\n'
	}
	if t.Format == Raw && !t.NoHeadings {
		p.buf = append(p.buf, strings.Join(p.names, string(separator))...)
		p.buf = append(p.buf, '\n')
	}
	cells := t.cells.all()
	for range t.rows {
		for column, name := range p.names {
			if column > 0 {
				p.buf = append(p.buf, separator)
			}
			if t.Format == Raw {
				p.buf = appendNonBlank(p.buf, cells.next())
				continue
			}
			p.buf = append(append(p.buf, name...), '=')
			p.buf = appendQuoted(p.buf, cells.next())
		}
		p.buf = append(p.buf, '\n')
		p.flush(chunk)
	}
}

func (p *printer) json() {
	for i, name := range p.names {
		p.names[i] = strings.ToLower(name)
	}
	p.buf = append(p.buf, "{\n   \""...)
	p.buf = append(p.buf, p.t.Name...)
	p.buf = append(p.buf, "\": [\n"...)
	cells := p.t.cells.all()
	for row := range p.t.rows {
		if row == 0 {
			p.buf = append(p.buf, "      {"...)
		} else {
			p.buf = append(p.buf, ",{"...)
		}
		for column, name := range p.names {
			if column > 0 {
				p.buf = append(p.buf, ',')
			}
			p.buf = append(p.buf, "\n         \""...)
			p.buf = append(p.buf, name...)
			p.buf = append(p.buf, "\": "...)
			p.buf = appendJSON(p.buf, cells.next())
		}
		p.buf = append(p.buf, "\n      }"...)
		p.flush(chunk)
	}
	p.buf = append(p.buf, "\n   ]\n}\n"...)
}
