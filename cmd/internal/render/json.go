package render

import (
	"iter"
	"strconv"
	"unicode/utf8"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

func (p *printer) jsonArray(rows iter.Seq[[]Cell]) error {
	keys := jsonKeys(p.columns)
	p.buf = append(p.buf, '[')
	separator, end := "\n", "]\n"
	err := p.each(rows, func(cells []Cell) {
		p.buf = append(p.buf, separator...)
		p.buf = appendJSONObject(p.buf, keys, cells)
		separator, end = ",\n", "\n]\n"
	})
	if err != nil {
		return err
	}
	p.buf = append(p.buf, end...)
	return p.flush()
}

func (p *printer) jsonLines(rows iter.Seq[[]Cell]) error {
	keys := jsonKeys(p.columns)
	err := p.each(rows, func(cells []Cell) {
		p.buf = append(appendJSONObject(p.buf, keys, cells), '\n')
	})
	if err != nil {
		return err
	}
	return p.flush()
}

// jsonRecord writes one line per field and per nested object.
func (p *printer) jsonRecord(cells []Cell) error {
	p.buf = append(p.buf, '{')
	separator := "\n  "
	for i := range cells {
		p.buf = append(p.buf, separator...)
		p.buf = append(appendJSONString(p.buf, p.columns[i].Name), ": "...)
		if c := &cells[i]; c.kind() == objects {
			p.jsonRecordRows(c.nested())
		} else {
			p.buf = appendJSON(p.buf, c)
		}
		separator = ",\n  "
	}
	p.buf = append(p.buf, "\n}\n"...)
	return p.flush()
}

func (p *printer) jsonRecordRows(n *nested) {
	keys := jsonKeys(n.columns)
	separator, end := "\n    ", "]"
	p.buf = append(p.buf, '[')
	for _, cells := range n.rows {
		p.buf = append(p.buf, separator...)
		p.buf = appendJSONObject(p.buf, keys, cells)
		separator, end = ",\n    ", "\n  ]"
	}
	p.buf = append(p.buf, end...)
}

// jsonKeys returns the columns' names, encoded as keys.
func jsonKeys(columns []Column) [][]byte {
	keys := make([][]byte, len(columns))
	for i, c := range columns {
		keys[i] = append(appendJSONString(nil, c.Name), ':')
	}
	return keys
}

func appendJSONObject(dst []byte, keys [][]byte, cells []Cell) []byte {
	dst = append(dst, '{')
	for i := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, keys[i]...)
		dst = appendJSON(dst, &cells[i])
	}
	return append(dst, '}')
}

// appendJSON appends the value of c.
func appendJSON(dst []byte, c *Cell) []byte {
	switch c.kind() {
	case unknown:
		return append(dst, "null"...)
	case text:
		return appendJSONString(dst, c.text())
	case hexadecimal, octal, moment:
		return append(appendScalar(append(dst, '"'), c), '"')
	case float:
		return strconv.AppendFloat(dst, c.float(), 'f', -1, 64)
	case boolean:
		return strconv.AppendBool(dst, c.num != 0)
	case list:
		items := c.items()
		dst = append(dst, '[')
		for i := range items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, &items[i])
		}
		return append(dst, ']')
	case object:
		n := c.nested()
		return appendJSONObject(dst, jsonKeys(n.columns), n.rows[0])
	case objects:
		n := c.nested()
		keys := jsonKeys(n.columns)
		dst = append(dst, '[')
		for i, cells := range n.rows {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONObject(dst, keys, cells)
		}
		return append(dst, ']')
	default:
		return appendScalar(dst, c)
	}
}

// appendJSONString appends s as a JSON string. Beyond JSON's rules it escapes
// unprintable runes, so that JSON is as safe on a terminal as the other formats.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for s != "" {
		n := 0
		for n < len(s) && ' ' <= s[n] && s[n] <= '~' && s[n] != '"' && s[n] != '\\' {
			n++
		}
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		r, width := utf8.DecodeRuneInString(s)
		dst = appendJSONRune(dst, r)
		s = s[width:]
	}
	return append(dst, '"')
}

func appendJSONRune(dst []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r == '\r':
		return append(dst, `\r`...)
	case term.Printable(r):
		return utf8.AppendRune(dst, r)
	case r > 0xffff:
		r -= 0x10000
		dst = appendJSONUnit(dst, 0xd800+r>>10)
		return appendJSONUnit(dst, 0xdc00+r&0x3ff)
	default:
		return appendJSONUnit(dst, r)
	}
}

// appendJSONUnit appends the escape of a UTF-16 code unit.
func appendJSONUnit(dst []byte, unit rune) []byte {
	return appendDigits(append(dst, `\u`...), uint64(unit), 4, 4)
}
