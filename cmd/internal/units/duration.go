package units

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// ParseDuration parses an age or a timeout: like [time.ParseDuration], plus the units d
// (24 hours) and w (7 days): 90m, 1d12h, 1.5w. A negative duration is an error.
func ParseDuration(s string) (time.Duration, error) {
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("duration %q is negative", s)
	}
	if s == "0" {
		return 0, nil
	}
	var sum time.Duration
	for rest := s; ; {
		var part string
		part, rest = cutDuration(rest)
		d, err := parsePart(part)
		if err != nil {
			return 0, fmt.Errorf("invalid duration %q: want numbers with units (w d h m s ms us ns) of at most 292 years in all, such as 90m, 1d12h or 2w", s)
		}
		if d > math.MaxInt64-sum {
			return 0, fmt.Errorf("duration %q is too long: at most 292 years", s)
		}
		sum += d
		if rest == "" {
			return sum, nil
		}
	}
}

// cutDuration splits s after its first number and unit.
func cutDuration(s string) (part, rest string) {
	isNumeric := func(r rune) bool { return '0' <= r && r <= '9' || r == '.' }
	unit := strings.IndexFunc(s, func(r rune) bool { return !isNumeric(r) })
	if unit < 0 {
		return s, ""
	}
	next := strings.IndexFunc(s[unit:], isNumeric)
	if next < 0 {
		return s, ""
	}
	return s[:unit+next], s[unit+next:]
}

// parsePart parses one number with its unit.
func parsePart(s string) (time.Duration, error) {
	var hours time.Duration
	number, isDays := strings.CutSuffix(s, "d")
	if isDays {
		hours = 24
	} else if number, isDays = strings.CutSuffix(s, "w"); isDays {
		hours = 7 * 24
	} else {
		return time.ParseDuration(s)
	}
	d, err := time.ParseDuration(number + "h")
	if err != nil {
		return 0, err
	}
	if d > math.MaxInt64/hours {
		return 0, fmt.Errorf("%q is out of range", s)
	}
	return d * hours, nil
}
