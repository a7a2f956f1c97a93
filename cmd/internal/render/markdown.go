package render

import (
	"iter"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

// markdown writes a table. Markdown tables must have headings, so NoHeadings makes them
// empty.
func (p *printer) markdown(rows iter.Seq[[]Cell]) error {
	for _, c := range p.columns {
		heading := c.heading()
		if p.options.NoHeadings {
			heading = ""
		}
		p.buf = append(p.buf, "| "...)
		p.buf = appendMarkdown(p.buf, []byte(term.Escape(heading)))
		p.buf = append(p.buf, ' ')
	}
	p.buf = append(p.buf, "|\n"...)
	for _, c := range p.columns {
		if c.Align == Right {
			p.buf = append(p.buf, "| ---: "...)
		} else {
			p.buf = append(p.buf, "| --- "...)
		}
	}
	p.buf = append(p.buf, "|\n"...)
	err := p.each(rows, func(cells []Cell) {
		for i := range cells {
			p.buf = append(p.buf, "| "...)
			p.buf = appendMarkdown(p.buf, p.people(&cells[i]))
			p.buf = append(p.buf, ' ')
		}
		p.buf = append(p.buf, "|\n"...)
	})
	if err != nil {
		return err
	}
	return p.flush()
}

var fieldColumns = [...]Column{{Name: "Field"}, {Name: "Value"}}

// markdownRecord writes a table of fields and values, then each nested listing under
// its heading.
func (p *printer) markdownRecord(cells []Cell) error {
	fields := printer{w: p.w, columns: fieldColumns[:], options: p.options}
	if err := fields.markdown(p.fields(cells)); err != nil {
		return err
	}
	for i := range cells {
		if !cells[i].isNested() {
			continue
		}
		p.buf = append(p.buf, "\n**"...)
		p.buf = appendMarkdown(p.buf, []byte(term.Escape(p.columns[i].heading())))
		p.buf = append(p.buf, "**\n\n"...)
		if err := p.flush(); err != nil {
			return err
		}
		n := cells[i].nested()
		inner := printer{w: p.w, columns: n.columns, options: p.options}
		if err := inner.markdown(n.all); err != nil {
			return err
		}
	}
	return nil
}

// fields yields a row of heading and value for each cell that is not nested.
func (p *printer) fields(cells []Cell) iter.Seq[[]Cell] {
	return func(yield func([]Cell) bool) {
		for i, c := range cells {
			if !c.isNested() && !yield([]Cell{Text(p.columns[i].heading()), c}) {
				return
			}
		}
	}
}

// appendMarkdown appends s as plain text for a table cell. HTML's special characters
// become entities, because some Markdown readers ignore a backslash before them.
func appendMarkdown(dst, s []byte) []byte {
	for _, c := range s {
		switch {
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == '>':
			dst = append(dst, "&gt;"...)
		case c == '&':
			dst = append(dst, "&amp;"...)
		case strings.IndexByte("\\`*_{}[]()#!|~$@", c) >= 0:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
