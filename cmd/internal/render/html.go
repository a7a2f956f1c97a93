package render

import (
	"iter"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

func (p *printer) html(rows iter.Seq[[]Cell]) error {
	p.buf = append(p.buf, "<table>\n"...)
	if !p.options.NoHeadings {
		p.buf = append(p.buf, "<thead>\n<tr>"...)
		for _, c := range p.columns {
			p.buf = appendTag(p.buf, "<th", c.Align)
			p.buf = appendHTML(p.buf, []byte(term.Escape(c.heading())))
			p.buf = append(p.buf, "</th>"...)
		}
		p.buf = append(p.buf, "</tr>\n</thead>\n"...)
	}
	p.buf = append(p.buf, "<tbody>\n"...)
	err := p.each(rows, func(cells []Cell) {
		p.buf = append(p.buf, "<tr>"...)
		for i := range cells {
			p.buf = appendTag(p.buf, "<td", p.columns[i].Align)
			p.htmlValue(&cells[i])
			p.buf = append(p.buf, "</td>"...)
		}
		p.buf = append(p.buf, "</tr>\n"...)
	})
	if err != nil {
		return err
	}
	p.buf = append(p.buf, "</tbody>\n</table>\n"...)
	return p.flush()
}

// htmlRecord writes a table of fields and values. Nested listings are nested tables.
func (p *printer) htmlRecord(cells []Cell) error {
	p.buf = append(p.buf, "<table>\n<tbody>\n"...)
	for i := range cells {
		c := &cells[i]
		p.buf = append(p.buf, `<tr><th scope="row">`...)
		p.buf = appendHTML(p.buf, []byte(term.Escape(p.columns[i].heading())))
		p.buf = append(p.buf, "</th><td>"...)
		if !c.isNested() {
			p.htmlValue(c)
		} else {
			n := c.nested()
			p.buf = append(p.buf, '\n')
			inner := printer{w: p.w, columns: n.columns, options: p.options, buf: p.buf}
			if err := inner.html(n.all); err != nil {
				return err
			}
			p.buf = inner.buf
		}
		p.buf = append(p.buf, "</td></tr>\n"...)
	}
	p.buf = append(p.buf, "</tbody>\n</table>\n"...)
	return p.flush()
}

func (p *printer) htmlValue(c *Cell) {
	p.buf = appendHTML(p.buf, p.people(c))
}

func appendTag(dst []byte, tag string, align Align) []byte {
	dst = append(dst, tag...)
	if align == Right {
		dst = append(dst, ` style="text-align: right"`...)
	}
	return append(dst, '>')
}

func appendHTML(dst, s []byte) []byte {
	for _, c := range s {
		switch c {
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '&':
			dst = append(dst, "&amp;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
