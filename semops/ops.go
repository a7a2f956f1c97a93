package semops

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/sysv"
)

// Parse reads the operations of one semop(2), separated by commas: the number of
// a semaphore; then +N to add, -N to wait until N can be subtracted, or =0 to wait
// for zero; then, in any order, u for SEM_UNDO and n for IPC_NOWAIT.
//
//	0-1un,1+1
//
// subtracts 1 from semaphore 0, to be undone when the process ends and without
// waiting, and adds 1 to semaphore 1. Nothing else is allowed, no blanks either.
// The error tells which operation is wrong, where, and what is wanted there.
// Whether a set has the semaphores, and how many operations it allows, only the
// kernel knows.
func Parse(s string) ([]sysv.Op, error) {
	if s == "" {
		return nil, errors.New("no operation; want for example 0-1 or 0-1un,1+1")
	}
	texts := strings.Split(s, ",")
	ops := make([]sysv.Op, len(texts))
	start := 0
	for i, text := range texts {
		op, at, err := parseOp(text)
		if err != nil {
			return nil, fmt.Errorf("operation %d (%q), character %d: %w", i+1, text, start+at+1, err)
		}
		ops[i] = op
		start += len(text) + len(",")
	}
	return ops, nil
}

// parseOp reads one operation, or says what is wrong at which offset.
func parseOp(text string) (op sysv.Op, at int, err error) {
	num, rest, err := number(text, 0, math.MaxUint16)
	if err != nil {
		return op, 0, fmt.Errorf("want the number of a semaphore, 0 to 65535: %w", err)
	}
	op.Num = uint16(num)
	at = len(text) - len(rest)

	op.Add, rest, err = parseAdd(rest)
	if err != nil {
		return op, at, err
	}
	for rest != "" {
		at = len(text) - len(rest)
		switch {
		case rest[0] == 'u' && !op.Undo:
			op.Undo = true
		case rest[0] == 'n' && !op.NoWait:
			op.NoWait = true
		default:
			return op, at, fmt.Errorf("%q: want at most one u (SEM_UNDO), at most one n (IPC_NOWAIT), and a comma or the end after them", rest)
		}
		rest = rest[1:]
	}
	return op, at, nil
}

// parseAdd reads +N, -N or =0.
func parseAdd(text string) (add int16, rest string, err error) {
	var sign byte
	if text != "" {
		sign = text[0]
	}
	switch sign {
	case '=':
		if _, rest, err = number(text[1:], 0, 0); err != nil {
			return 0, rest, fmt.Errorf("want =0, since zero is the only value that can be waited for: %w", err)
		}
		return 0, rest, nil
	case '+', '-':
		n, rest, err := number(text[1:], 1, math.MaxInt16)
		if err != nil {
			return 0, rest, fmt.Errorf("want %c1 to %c32767, or =0 to wait for zero: %w", sign, sign, err)
		}
		if sign == '-' {
			n = -n
		}
		return int16(n), rest, nil
	default:
		return 0, text, errors.New("want +N, -N or =0 after the number of the semaphore")
	}
}

// number reads the decimal digits that text begins with.
func number(text string, low, high int) (n int, rest string, err error) {
	rest = strings.TrimLeft(text, "0123456789")
	digits := text[:len(text)-len(rest)]
	if digits == "" {
		return 0, rest, errors.New("no digit")
	}
	n, err = strconv.Atoi(digits)
	if err != nil || n < low || n > high {
		return 0, rest, errors.New(digits + " is out of range")
	}
	return n, rest, nil
}

// Format writes ops as Parse reads them.
func Format(ops ...sysv.Op) string {
	var b []byte
	for i, op := range ops {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(op.Num), 10)
		switch {
		case op.Add == 0:
			b = append(b, '=')
		case op.Add > 0:
			b = append(b, '+')
		}
		b = strconv.AppendInt(b, int64(op.Add), 10)
		if op.Undo {
			b = append(b, 'u')
		}
		if op.NoWait {
			b = append(b, 'n')
		}
	}
	return string(b)
}
