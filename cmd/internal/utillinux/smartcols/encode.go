package smartcols

import (
	"strconv"
	"unicode/utf8"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

func isPrint(c byte) bool { return ' ' <= c && c <= '~' }

// isPlain reports whether text is printed unchanged, one column a byte.
func isPlain(text []byte) bool {
	for _, c := range text {
		if !isPrint(c) || c == '\\' {
			return false
		}
	}
	return true
}

func appendHex(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'x', digits[c>>4], digits[c&0xf])
}

func (t *Table) appendSafe(dst, text []byte) []byte {
	if t.plain {
		return append(dst, text...)
	}
	return AppendSafe(dst, text, t.UTF8)
}

// AppendSafe appends text, with bytes that would control a terminal or are unprintable
// in hexadecimal. Text beyond ASCII stays if it is UTF-8 and isUTF8 is set.
func AppendSafe(dst, text []byte, isUTF8 bool) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c == '\\' && i+1 < len(text) && text[i+1] == 'x' {
			dst = appendHex(dst, c)
			i++
			continue
		}
		if c < utf8.RuneSelf || !isUTF8 {
			if isPrint(c) {
				dst = append(dst, c)
			} else {
				dst = appendHex(dst, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || !strconv.IsPrint(r) {
			for _, c := range text[i : i+size] {
				dst = appendHex(dst, c)
			}
		} else {
			dst = append(dst, text[i:i+size]...)
		}
		i += size
	}
	return dst
}

// width returns how many columns text takes after AppendSafe.
func (t *Table) width(text []byte) int {
	if t.plain || isPlain(text) {
		return len(text)
	}
	return term.BytesWidth(t.appendSafe(nil, text))
}

// appendNonBlank appends text with blanks escaped.
func appendNonBlank(dst, text []byte) []byte {
	for _, c := range text {
		if isPrint(c) && c != ' ' && c != '\\' {
			dst = append(dst, c)
		} else {
			dst = appendHex(dst, c)
		}
	}
	return dst
}

// appendQuoted appends text in quotes. A shell expands nothing in it.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		if isPrint(c) && c != '"' && c != '\\' && c != '`' && c != '$' {
			dst = append(dst, c)
		} else {
			dst = appendHex(dst, c)
		}
	}
	return append(dst, '"')
}

// appendJSON appends text as a string, or null if it is empty. Invalid UTF-8 is kept.
func appendJSON(dst, text []byte) []byte {
	if len(text) == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		default:
			dst = appendJSONControl(dst, c)
		}
	}
	return append(dst, '"')
}

func appendJSONControl(dst []byte, c byte) []byte {
	switch c {
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
}
