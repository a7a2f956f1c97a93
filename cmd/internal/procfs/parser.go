package procfs

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrFormat is the error for malformed contents.
var ErrFormat = errors.New("unexpected contents")

func badFormat(file string) error { return fmt.Errorf("%s: %w", file, ErrFormat) }

// A parser takes fields off a line. Once failed, it stays failed.
type parser struct {
	rest   []byte
	failed bool
}

// until takes the text before the next delimiter, and the delimiter.
func (p *parser) until(delimiter byte) []byte {
	i := bytes.IndexByte(p.rest, delimiter)
	if i < 0 {
		p.failed = true
		return nil
	}
	field := p.rest[:i]
	p.rest = p.rest[i+1:]
	return field
}

// field takes the text before the next blank, or the rest.
func (p *parser) field() []byte {
	p.blanks()
	i := bytes.IndexAny(p.rest, " \t\n")
	if i < 0 {
		i = len(p.rest)
	}
	field := p.rest[:i]
	p.rest = p.rest[i:]
	return field
}

func (p *parser) blanks() { p.rest = bytes.TrimLeft(p.rest, " \t") }

func (p *parser) hex(delimiter byte) uint64 {
	n, ok := hexNumber(p.until(delimiter))
	p.failed = p.failed || !ok
	return n
}

func (p *parser) hex32(delimiter byte) uint32 {
	n := p.hex(delimiter)
	p.failed = p.failed || n > 1<<32-1
	return uint32(n)
}

func (p *parser) decimal(delimiter byte) uint64 {
	n, ok := number(p.until(delimiter))
	p.failed = p.failed || !ok
	return n
}

// number parses an unsigned decimal number.
func number(digits []byte) (n uint64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' || n > (1<<64-1-uint64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, len(digits) > 0
}

// hexNumber parses a hexadecimal number without a prefix.
func hexNumber(digits []byte) (n uint64, ok bool) {
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		if n >= 1<<60 {
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return n, len(digits) > 0
}

// lines calls visit for each line until visit returns false.
func lines(b []byte, visit func(line []byte) bool) {
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		if !visit(line) {
			return
		}
		b = rest
	}
}

// wholeLines drops what follows the last newline: a truncated number would look like
// another number.
func wholeLines(b []byte) []byte { return b[:bytes.LastIndexByte(b, '\n')+1] }
