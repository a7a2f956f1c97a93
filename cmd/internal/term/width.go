package term

import (
	"unicode"
	"unicode/utf8"
)

// StringWidth returns how many terminal columns s takes. s should come from [Escape]:
// control characters are not handled.
func StringWidth(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			width := i
			for _, r := range s[i:] {
				width += RuneWidth(r)
			}
			return width
		}
	}
	return len(s)
}

// BytesWidth is [StringWidth] for a byte slice.
func BytesWidth(b []byte) int {
	width := 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			width++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		i += size
		width += RuneWidth(r)
	}
	return width
}

// RuneWidth returns how many terminal columns r takes: 0 for a mark drawn onto the
// character before it, 2 for East Asian wide characters and emoji, otherwise 1.
func RuneWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me), isConjoining(r):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// isConjoining reports whether r is a Hangul vowel or final consonant, which joins the
// syllable begun by the wide initial consonant before it.
func isConjoining(r rune) bool {
	return 0x1160 <= r && r <= 0x11ff || 0xd7b0 <= r && r <= 0xd7fb
}

// Truncate returns the longest prefix of s that takes at most width columns, and its
// width. Marks stay with the character they are drawn onto.
func Truncate(s string, width int) (head string, taken int) {
	for i, r := range s {
		w := RuneWidth(r)
		if taken+w > width {
			return s[:i], taken
		}
		taken += w
	}
	return s, taken
}
