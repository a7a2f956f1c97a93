package ipcmk

import (
	"math"
	"math/bits"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
)

// parseSize parses a size like util-linux: any C integer, optionally with decimals and
// a unit: K or KiB for 1024, KB for 1000, and so on up to Y. The error is EINVAL or
// ERANGE.
func parseSize(s string) (uint64, error) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	whole, rest, err := program.CutUint(strings.TrimPrefix(s, "+"), 0)
	if err != nil || rest == "" {
		return whole, err
	}
	var decimals string
	if rest[0] == '.' {
		digits := len(rest[1:]) - len(strings.TrimLeft(rest[1:], "0123456789"))
		decimals, rest = rest[1:1+digits], rest[1+digits:]
	}
	factor, err := unitFactor(rest)
	if err != nil {
		return 0, err
	}
	if factor == 0 { // more than 64 bits
		if whole == 0 && strings.Trim(decimals, "0") == "" {
			return 0, nil
		}
		return 0, syscall.ERANGE
	}
	high, low := bits.Mul64(whole, factor)
	sum, carry := bits.Add64(low, fraction(decimals, factor), 0)
	if high != 0 || carry != 0 {
		return 0, syscall.ERANGE
	}
	return sum, nil
}

// fraction returns 0.decimals of factor, rounded down, carrying from the last digit to
// the first. A factor is at most 1024^6, so nine times it fits 64 bits.
func fraction(decimals string, factor uint64) uint64 {
	carry := uint64(0)
	for i := len(decimals) - 1; i >= 0; i-- {
		carry = (uint64(decimals[i]-'0')*factor + carry) / 10
	}
	return carry
}

// unitFactor returns the number of bytes in a unit, or 0 if that does not fit.
func unitFactor(unit string) (uint64, error) {
	if unit == "" {
		return 0, syscall.EINVAL
	}
	letter := unit[0]
	if 'a' <= letter && letter <= 'z' {
		letter -= 'a' - 'A'
	}
	power := strings.IndexByte("KMGTPEZY", letter) + 1
	base := uint64(1024)
	switch unit[1:] {
	case "", "iB", "ib":
	case "B", "b":
		base = 1000
	default:
		power = 0
	}
	if power == 0 {
		return 0, syscall.EINVAL
	}
	factor := uint64(1)
	for range power {
		if factor > math.MaxUint64/base {
			return 0, nil
		}
		factor *= base
	}
	return factor, nil
}
