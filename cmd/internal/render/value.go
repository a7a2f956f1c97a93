package render

import (
	"strconv"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// appendScalar appends a cell of a kind that looks the same in every format.
func appendScalar(dst []byte, c *Cell) []byte {
	switch c.kind() {
	case signed, change, sizeChange:
		return strconv.AppendInt(dst, int64(c.num), 10)
	case hexadecimal:
		return appendDigits(append(dst, "0x"...), c.num, 4, c.digits())
	case octal:
		return appendDigits(dst, c.num, 3, c.digits())
	case moment:
		return c.time().AppendFormat(dst, time.RFC3339Nano)
	default:
		return strconv.AppendUint(dst, c.num, 10)
	}
}

// appendDigits appends n in base 2^shift with at least the given number of digits.
func appendDigits(dst []byte, n uint64, shift, digits int) []byte {
	needed := 1
	for rest := n >> shift; rest != 0; rest >>= shift {
		needed++
	}
	for i := max(needed, digits) - 1; i >= 0; i-- {
		dst = append(dst, "0123456789abcdef"[n>>(i*shift)&(1<<shift-1)])
	}
	return dst
}

// appendPeople appends c as text for people, safe for a terminal. An empty text or list
// stays empty.
func appendPeople(dst []byte, c *Cell, o *Options) []byte {
	switch c.kind() {
	case unknown:
		return append(dst, '-')
	case text:
		if c.digits() > 0 {
			return term.AppendEscape(dst, shorten(c.text()))
		}
		return term.AppendEscape(dst, c.text())
	case unlimited:
		return append(dst, "unlimited"...)
	case size:
		if o.HumanSizes {
			return units.AppendSize(dst, c.num)
		}
		return appendScalar(dst, c)
	case change, sizeChange:
		return appendChange(dst, c, o)
	case float:
		return strconv.AppendFloat(dst, c.float(), 'f', c.digits(), 64)
	case boolean:
		if c.num != 0 {
			return append(dst, "yes"...)
		}
		return append(dst, "no"...)
	case moment:
		if o.TimeLayout != "" {
			return c.time().AppendFormat(dst, o.TimeLayout)
		}
		return appendScalar(dst, c)
	case span:
		return units.AppendDuration(dst, time.Duration(c.num)*time.Second)
	case list:
		items := c.items()
		for i := range items {
			if i > 0 {
				dst = append(dst, separator(items)...)
			}
			dst = appendPeople(dst, &items[i], o)
		}
		return dst
	case object, objects:
		return appendJSON(dst, c)
	default:
		return appendScalar(dst, c)
	}
}

// shorten cuts each run of idDigits hexadecimal digits to shownDigits.
func shorten(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := 0
		for n < len(s) && strings.IndexByte("0123456789abcdef", s[n]) >= 0 {
			n++
		}
		if n == idDigits {
			b.WriteString(s[:shownDigits])
		} else {
			n = max(n, 1)
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func appendChange(dst []byte, c *Cell, o *Options) []byte {
	n := int64(c.num)
	if n > 0 {
		dst = append(dst, '+')
	}
	if c.kind() != sizeChange || !o.HumanSizes || n == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	if n < 0 {
		return units.AppendSize(append(dst, '-'), -c.num)
	}
	return units.AppendSize(dst, c.num)
}

// separator returns what separates list items for people: a comma, and a blank too if
// the items contain blanks.
func separator(items []Cell) string {
	for i := range items {
		if items[i].kind() == text && strings.Contains(items[i].text(), " ") {
			return ", "
		}
	}
	return ","
}
