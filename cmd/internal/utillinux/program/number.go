package program

import (
	"math"
	"strings"
	"syscall"
)

// ParseInt parses a number from least to most like strtol(3): blanks and a sign may precede
// it and, with base 0, C's prefixes. The error is EINVAL for a text that is not a number,
// and ERANGE for a number that does not fit.
func ParseInt(s string, base int, least, most int64) (int64, error) {
	n, rest, err := cutInt(s, base)
	switch {
	case err != nil:
		return 0, err
	case rest != "":
		return 0, syscall.EINVAL
	case n < least || n > most:
		return 0, syscall.ERANGE
	}
	return n, nil
}

// ParseID parses a decimal C int.
func ParseID(s string) (int, error) {
	n, err := ParseInt(s, 10, math.MinInt32, math.MaxInt32)
	return int(n), err
}

func cutInt(s string, base int) (n int64, rest string, err error) {
	digits := s
	if s != "" && s[0] <= ' ' { // rare among 32,000 arguments
		digits = strings.TrimLeft(s, " \t\n\v\f\r")
	}
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	}
	u, rest, err := CutUint(digits, base)
	switch {
	case err != nil:
		return 0, rest, err
	case negative && u <= 1<<63:
		return -int64(u), rest, nil
	case negative || u > math.MaxInt64:
		return 0, rest, syscall.ERANGE
	}
	return int64(u), rest, nil
}

// CutUint parses the digits at the beginning of s and returns the rest. Base 0 means 16
// after 0x, 8 after 0, and otherwise 10.
func CutUint(s string, base int) (n uint64, rest string, err error) {
	if base == 0 {
		base = 10
		switch {
		case len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' && digit(s[2]) < 16:
			base, s = 16, s[2:]
		case strings.HasPrefix(s, "0"):
			base = 8
		}
	}
	i := 0
	for ; i < len(s); i++ {
		d := digit(s[i])
		if d >= uint64(base) {
			break
		}
		if n > (math.MaxUint64-d)/uint64(base) {
			err = syscall.ERANGE
		}
		n = n*uint64(base) + d
	}
	if i == 0 {
		return 0, s, syscall.EINVAL
	}
	return n, s[i:], err
}

// digit returns the value of a digit, or 16 if c is not a digit.
func digit(c byte) uint64 {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10
	}
	return 16
}
