package term

import (
	"unicode"
	"unicode/utf8"
)

// StringWidth returns how many columns of a terminal s takes. It is meant for
// text that [Escape] has made: of control characters it knows nothing.
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

// RuneWidth returns how many columns of a terminal r takes: none for a mark
// that is drawn onto the character before it, two for East Asian wide
// characters and emoji, otherwise one.
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

// isConjoining reports whether r is a Hangul vowel or final consonant, which
// joins the syllable that the wide initial consonant before it began.
func isConjoining(r rune) bool {
	return 0x1160 <= r && r <= 0x11ff || 0xd7b0 <= r && r <= 0xd7fb
}

// Truncate returns the longest beginning of s that takes at most width columns,
// and how many it takes. Marks stay with the character they are drawn onto.
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
