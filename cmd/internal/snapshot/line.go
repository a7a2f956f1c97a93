package snapshot

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// A scanner takes a JSON object apart. It decodes only what is asked for, and so reads a
// snapshot several times as fast as package json.
type scanner struct {
	b []byte
	i int
}

var errSyntax = errors.New("it is not a JSON object")

// members calls visit for each member of an object that is a whole line. name and value are
// JSON texts that are not decoded.
func members(line []byte, visit func(name, value []byte) error) error {
	s := &scanner{b: line}
	if err := s.object(visit, 0); err != nil {
		return err
	}
	if s.blanks(); s.i != len(s.b) {
		return errSyntax
	}
	return nil
}

// deepest is how far values may be nested.
const deepest = 100

func (s *scanner) object(visit func(name, value []byte) error, depth int) error {
	if !s.take('{') || depth > deepest {
		return errSyntax
	}
	if s.take('}') {
		return nil
	}
	for {
		s.blanks()
		name, ok := s.text()
		if !ok || !s.take(':') {
			return errSyntax
		}
		value, err := s.value(depth)
		if err != nil {
			return err
		}
		if visit != nil {
			if err := visit(name, value); err != nil {
				return err
			}
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
	}
}

func (s *scanner) array(depth int) error {
	if !s.take('[') || depth > deepest {
		return errSyntax
	}
	if s.take(']') {
		return nil
	}
	for {
		if _, err := s.value(depth); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
	}
}

// value skips any value and returns its text.
func (s *scanner) value(depth int) ([]byte, error) {
	s.blanks()
	if s.i == len(s.b) {
		return nil, errSyntax
	}
	start, err := s.i, error(nil)
	switch s.b[s.i] {
	case '"':
		if _, ok := s.text(); !ok {
			err = errSyntax
		}
	case '{':
		err = s.object(nil, depth+1)
	case '[':
		err = s.array(depth + 1)
	default:
		for s.i < len(s.b) && isScalar(s.b[s.i]) {
			s.i++
		}
		if !validScalar(s.b[start:s.i]) {
			err = errSyntax
		}
	}
	return s.b[start:s.i], err
}

func isScalar(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// validScalar reports whether b is null, true, false or a number.
func validScalar(b []byte) bool {
	switch string(b) {
	case "null", "true", "false":
		return true
	}
	digits := len(b) > 0 && (b[0] != '0' || len(b) == 1)
	for _, c := range b {
		digits = digits && '0' <= c && c <= '9'
	}
	return digits || json.Valid(b)
}

// text skips a string and returns it with its quotes.
func (s *scanner) text() ([]byte, bool) {
	start := s.i
	if s.i == len(s.b) || s.b[s.i] != '"' {
		return nil, false
	}
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start:s.i], true
		case c == '\\':
			s.i++
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// take skips blanks and c. It reports whether c was there.
func (s *scanner) take(c byte) bool {
	s.blanks()
	if s.i == len(s.b) || s.b[s.i] != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) blanks() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\r' || s.b[s.i] == '\n') {
		s.i++
	}
}

func isNull(value []byte) bool { return string(value) == "null" }

// quoted returns the text between the quotes of a string. It returns false if the string
// has escapes, or if value is not a string.
func quoted(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	inside := value[1 : len(value)-1]
	for _, c := range inside {
		if c == '\\' || c >= 0x80 {
			return nil, false
		}
	}
	return inside, true
}

// decodeText decodes a string.
func decodeText(value []byte) (s string, ok bool) {
	if inside, ok := quoted(value); ok {
		return string(inside), true
	}
	return s, len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil
}

// decodeNumber decodes a whole number that is not negative, written in decimal, or as a
// string in another base. A number above the largest int64 becomes the largest int64.
func decodeNumber(value []byte, base int) (int64, bool) {
	digits := value
	if base != 10 {
		var ok bool
		if digits, ok = quoted(value); !ok {
			return 0, false
		}
	}
	if base == 16 {
		if len(digits) < 3 || digits[0] != '0' || digits[1] != 'x' {
			return 0, false
		}
		digits = digits[2:]
	}
	n, err := strconv.ParseUint(string(digits), base, 63)
	return int64(n), err == nil || errors.Is(err, strconv.ErrRange)
}

// decodeTime decodes a time to seconds since 1970.
func decodeTime(value []byte) (int64, bool) {
	inside, ok := quoted(value)
	if !ok {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(inside))
	return t.Unix(), err == nil
}
