package inventory

import (
	"strconv"
	"strings"
)

// numbersIn returns the numbers in the name of a POSIX object that may be process ids.
// These are delimited by characters other than letters and digits. They may also follow
// letters, unless the whole may be a hexadecimal number.
func numbersIn(name string) (list []int) {
	for token := range strings.FieldsFuncSeq(name, func(r rune) bool { return !isDigit(r) && !isLetter(r) }) {
		digits := strings.TrimLeftFunc(token, isLetter)
		if digits != token && strings.Trim(token, "0123456789abcdefABCDEF") == "" {
			continue
		}
		const mostDigits = 7 // PID_MAX_LIMIT is 4,194,304
		if len(digits) > mostDigits || strings.TrimLeftFunc(digits, isDigit) != "" {
			continue
		}
		if n, err := strconv.Atoi(digits); err == nil && n > 1 { // init creates no objects
			list = append(list, n)
		}
	}
	return list
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// isLetter reports whether r is a letter, of any script.
func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= 0x80 }
