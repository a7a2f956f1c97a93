package term

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Escape escapes every character of s that a terminal would obey or not display. So foreign
// text (the name of a command or a user, the content of a segment) can neither
// control the terminal nor pass for something else.
//
//	newline, tab, carriage return    \n \t \r
//	backslash                        \\
//	other ASCII controls, DEL        \x1b
//	bytes that are not UTF-8         \xff
//	other runes that do not print    \u202e \U000e0041
//
// Unprintable runes are those of [strconv.IsPrint] (controls, bidirectional overrides
// and isolates, zero-width and other format characters, separators and spaces other
// than the ASCII space, private and unassigned code points), letters, marks and the
// Braille pattern that are drawn as nothing, and a combining mark with nothing before
// it in s. The mapping is one to one: \x80 to \xff stand for bytes, \u0080 to \u00ff
// for runes. A string without anything to escape is returned unchanged.
func Escape(s string) string {
	n := cleanPrefix(s)
	if n == len(s) {
		return s
	}
	dst := make([]byte, n, len(s)+16)
	copy(dst, s)
	return string(appendEscaped(dst, s[n:], n == 0))
}

// AppendEscape appends Escape(s) to dst.
func AppendEscape(dst []byte, s string) []byte {
	n := cleanPrefix(s)
	dst = append(dst, s[:n]...)
	return appendEscaped(dst, s[n:], n == 0)
}

// cleanPrefix returns the length of the longest prefix of s that needs no escaping and
// is ASCII.
func cleanPrefix(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// appendEscaped appends s rune by rune. bare reports whether there is no character before s
// that a combining mark could combine with.
func appendEscaped(dst []byte, s string, bare bool) []byte {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = appendHex(append(dst, `\x`...), uint32(s[0]), 2)
			bare = true
		case Printable(r) && !(bare && unicode.In(r, unicode.Mn, unicode.Mc, unicode.Me)):
			dst = append(dst, s[:size]...)
			bare = false
		default:
			dst = appendEscapedRune(dst, r)
			bare = r != '\\'
		}
		s = s[size:]
	}
	return dst
}

// appendEscapedRune appends the escape of r, needed or not.
func appendEscapedRune(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r == '\r':
		return append(dst, `\r`...)
	case r == '\\':
		return append(dst, `\\`...)
	case r < utf8.RuneSelf:
		return appendHex(append(dst, `\x`...), uint32(r), 2)
	case r <= 0xffff:
		return appendHex(append(dst, `\u`...), uint32(r), 4)
	default:
		return appendHex(append(dst, `\U`...), uint32(r), 8)
	}
}

// Printable reports whether [Escape] leaves r unchanged: it is visible, and not the
// backslash.
func Printable(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~' && r != '\\'
	}
	return strconv.IsPrint(r) && !drawnAsNothing(r)
}

// drawnAsNothing reports whether r is invisible though Unicode calls it a letter, a
// mark or a symbol: fillers, joiners, variation selectors.
func drawnAsNothing(r rune) bool {
	switch {
	case r < 0x34f:
		return false
	case r == 0x34f, // combining grapheme joiner
		r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, // Hangul fillers
		r == 0x17b4, r == 0x17b5, // Khmer inherent vowels
		r == 0x2800: // blank Braille pattern
		return true
	case 0x180b <= r && r <= 0x180f, 0xfe00 <= r && r <= 0xfe0f, 0xe0100 <= r && r <= 0xe01ef:
		return true // variation selectors
	}
	return false
}

func appendHex(dst []byte, n uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[n>>shift&0xf])
	}
	return dst
}
