package render

import (
	"iter"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

func (p *printer) csv(rows iter.Seq[[]Cell]) error {
	if !p.options.NoHeadings {
		for i, c := range p.columns {
			p.csvSeparator(i)
			p.scratch = p.appendGuarded(p.scratch[:0], c.Name)
			p.csvField(p.scratch)
		}
		p.buf = append(p.buf, "\r\n"...)
	}
	err := p.each(rows, func(cells []Cell) {
		for i := range cells {
			p.csvSeparator(i)
			p.scratch = p.appendCSV(p.scratch[:0], &cells[i])
			p.csvField(p.scratch)
		}
		p.buf = append(p.buf, "\r\n"...)
	})
	if err != nil {
		return err
	}
	return p.flush()
}

func (p *printer) csvSeparator(i int) {
	if i > 0 {
		p.buf = append(p.buf, ',')
	}
}

// csvField appends a field, quoted if necessary. The empty field of a single column is
// quoted, because readers skip empty lines.
func (p *printer) csvField(field []byte) {
	quote := len(field) == 0 && len(p.columns) == 1
	for _, c := range field {
		if c == '"' || c == ',' || c < ' ' {
			quote = true
			break
		}
	}
	if !quote {
		p.buf = append(p.buf, field...)
		return
	}
	p.buf = append(p.buf, '"')
	for _, c := range field {
		if c == '"' {
			p.buf = append(p.buf, '"')
		}
		p.buf = append(p.buf, c)
	}
	p.buf = append(p.buf, '"')
}

// appendCSV appends the unquoted value of c.
func (p *printer) appendCSV(dst []byte, c *Cell) []byte {
	switch c.kind() {
	case unknown:
		return dst
	case text:
		return p.appendGuarded(dst, c.text())
	case float:
		return strconv.AppendFloat(dst, c.float(), 'f', -1, 64)
	case boolean:
		return strconv.AppendBool(dst, c.num != 0)
	case list:
		items := c.items()
		for i := range items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = p.appendCSV(dst, &items[i])
		}
		return dst
	case object, objects:
		return appendJSON(dst, c)
	default:
		return appendScalar(dst, c)
	}
}

// appendGuarded appends s, with a leading apostrophe if a spreadsheet would take it for
// a formula. Excel accepts the full-width signs too.
func (p *printer) appendGuarded(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	if strings.IndexByte("=+-@\t\r\n", s[0]) >= 0 ||
		strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") ||
		strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		dst = append(dst, '\'')
	}
	if p.options.Terminal {
		return term.AppendEscape(dst, s)
	}
	return append(dst, s...)
}
