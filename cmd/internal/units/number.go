package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ParseUint parses a decimal number from 0 to limit. what names the number in an error:
// "count", "user id".
func ParseUint(what, s string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, fmt.Errorf("invalid %s %q: want a decimal number from 0 to %d", what, s, limit)
	}
	if err != nil || n > limit {
		return 0, fmt.Errorf("%s %q is too big: at most %d", what, s, limit)
	}
	return n, nil
}

// ParseID parses the identifier of an IPC object: a decimal number from 0 to
// 2147483647, the largest int of the kernel.
func ParseID(s string) (int, error) {
	n, err := ParseUint("identifier", s, math.MaxInt32)
	return int(n), err
}
