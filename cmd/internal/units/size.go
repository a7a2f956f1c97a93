package units

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// sizeLetters are the unit letters in ascending order.
const sizeLetters = "KMGTPE"

// ParseSize parses a number of bytes.
//
// K, M, G, T, P and E, alone or followed by iB, are powers of 1024; followed by B alone
// they are powers of 1000; B alone or no unit means bytes. Case does not matter. The
// number before the unit is decimal, a decimal fraction that gives a whole number of
// bytes (1.5K), or hexadecimal (0x1000). In a hexadecimal number B and E are digits.
//
// A leading zero is rejected: C reads 010 as eight, people read it as ten.
func ParseSize(s string) (int64, error) {
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("size %q is negative", s)
	}
	var (
		n    number
		rest string
		ok   bool
	)
	if hasHexPrefix(s) {
		n, rest, ok = cutHex(s)
	} else {
		n, rest, ok = cutDecimal(s)
	}
	factor, known := unitFactor(rest)
	switch {
	case !ok || !known:
		return 0, fmt.Errorf("invalid size %q: want a number of bytes with an optional unit, such as 4096, 64K, 1.5GiB or 10MB", s)
	case n.leadingZero:
		return 0, fmt.Errorf("invalid size %q: it begins with 0, which may mean octal; write it in decimal, or in hexadecimal after 0x", s)
	case n.tooBig:
		return 0, errSizeRange(s)
	case n.tooFine:
		return 0, fmt.Errorf("invalid size %q: more than %d decimals", s, maxDecimals)
	}

	hi, whole := bits.Mul64(n.whole, factor)
	// The fraction is below 1, so its share is below factor and the quotient fits.
	fhi, flo := bits.Mul64(n.frac, factor)
	part, rem := bits.Div64(fhi, flo, n.scale)
	if rem != 0 {
		return 0, fmt.Errorf("size %q is not a whole number of bytes", s)
	}
	sum, carry := bits.Add64(whole, part, 0)
	if hi != 0 || carry != 0 || sum > math.MaxInt64 {
		return 0, errSizeRange(s)
	}
	return int64(sum), nil
}

func errSizeRange(s string) error {
	return fmt.Errorf("size %q is too big: at most %d bytes", s, int64(math.MaxInt64))
}

// number is whole + frac/scale.
type number struct {
	whole, frac, scale           uint64
	tooBig, tooFine, leadingZero bool
}

// maxDecimals is the largest number of decimals for which scale fits 64 bits.
const maxDecimals = 19

func hasHexPrefix(s string) bool {
	return len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x'
}

func cutHex(s string) (n number, rest string, ok bool) {
	end := 2
	for end < len(s) && isHex(s[end]) {
		end++
	}
	n.scale = 1
	var err error
	n.whole, err = strconv.ParseUint(s[2:end], 16, 64)
	n.tooBig = err != nil
	return n, s[end:], end > 2
}

func cutDecimal(s string) (n number, rest string, ok bool) {
	digits, rest := cutDigits(s)
	if digits == "" {
		return n, rest, false
	}
	n.scale = 1
	n.leadingZero = len(digits) > 1 && digits[0] == '0'
	var err error
	n.whole, err = strconv.ParseUint(digits, 10, 64)
	n.tooBig = err != nil

	if !strings.HasPrefix(rest, ".") {
		return n, rest, true
	}
	digits, rest = cutDigits(rest[1:])
	if digits == "" {
		return n, rest, false
	}
	digits = strings.TrimRight(digits, "0")
	if len(digits) > maxDecimals {
		n.tooFine = true
		return n, rest, true
	}
	for i := range len(digits) {
		n.frac = n.frac*10 + uint64(digits[i]-'0')
		n.scale *= 10
	}
	return n, rest, true
}

func cutDigits(s string) (digits, rest string) {
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	return s[:end], s[end:]
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// unitFactor returns the number of bytes in unit u.
func unitFactor(u string) (factor uint64, ok bool) {
	if u == "" || strings.EqualFold(u, "B") {
		return 1, true
	}
	power := strings.IndexByte(sizeLetters, u[0]&^0x20) + 1
	if power == 0 {
		return 0, false
	}
	base := uint64(1024)
	switch rest := u[1:]; {
	case rest == "" || strings.EqualFold(rest, "iB"):
	case strings.EqualFold(rest, "B"):
		base = 1000
	default:
		return 0, false
	}
	factor = 1
	for range power {
		factor *= base
	}
	return factor, true
}

// FormatSize returns n bytes for people, like util-linux: in the largest unit that
// gives at least 1, with one decimal unless it is 0, rounded to nearest (halves up):
// 1023B, 4K, 1.5M.
func FormatSize(n uint64) string {
	return string(AppendSize(nil, n))
}

// AppendSize appends FormatSize(n) to dst.
func AppendSize(dst []byte, n uint64) []byte {
	if n < 1024 {
		return append(strconv.AppendUint(dst, n, 10), 'B')
	}
	power := (bits.Len64(n) - 1) / 10
	shift := 10 * power
	whole, rem := n>>shift, n&(1<<shift-1)
	// rem is below 2^60, so ten times it fits.
	tenths := (rem*10 + 1<<(shift-1)) >> shift
	if tenths == 10 {
		whole, tenths = whole+1, 0
	}
	dst = strconv.AppendUint(dst, whole, 10)
	if tenths != 0 {
		dst = append(dst, '.', byte('0'+tenths))
	}
	return append(dst, sizeLetters[power-1])
}
