package sysvipc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

// Mode bits in /proc beyond the permissions.
const (
	modeDest   = 0o1000
	modeLocked = 0o2000
)

// ParseSegments parses /proc/sysvipc/shm, except for resident and swapped memory, which
// package procfs reads. An error ends the sequence. Seq is 0, since /proc does not show
// it.
func ParseSegments(r io.Reader) iter.Seq2[sysv.SegmentInfo, error] {
	return rows(r, "shm", readSegment)
}

func readSegment(row *row) sysv.SegmentInfo {
	var s sysv.SegmentInfo
	s.Key, s.ID = row.key(), row.id()
	mode := row.octal()
	s.Mode = fs.FileMode(mode).Perm()
	s.Dest, s.Locked = mode&modeDest != 0, mode&modeLocked != 0
	s.Size = row.signed(0, math.MaxInt64)
	s.CPID, s.LPID = row.pid(), row.pid()
	s.NAttch = row.unsigned()
	row.owners(&s.Perm)
	s.ATime, s.DTime, s.CTime = row.time(), row.time(), row.time()
	return s
}

// A memory is the memory of a segment, in bytes.
type memory struct{ size, resident, swapped uint64 }

func parseMemory(r io.Reader) iter.Seq2[memory, error] {
	return rows(r, "shm", func(row *row) memory {
		s := readSegment(row)
		return memory{uint64(s.Size), row.unsigned(), row.unsigned()}
	})
}

// ParseSets parses /proc/sysvipc/sem. An error ends the sequence.
func ParseSets(r io.Reader) iter.Seq2[sysv.SetInfo, error] {
	return rows(r, "sem", func(row *row) sysv.SetInfo {
		var s sysv.SetInfo
		s.Key, s.ID = row.key(), row.id()
		s.Mode = fs.FileMode(row.octal()).Perm()
		s.NSems = int(row.signed(0, math.MaxInt32))
		row.owners(&s.Perm)
		s.OTime, s.CTime = row.time(), row.time()
		return s
	})
}

// ParseQueues parses /proc/sysvipc/msg. An error ends the sequence. QBytes is
// UnknownQBytes, since /proc does not show it.
func ParseQueues(r io.Reader) iter.Seq2[sysv.QueueInfo, error] {
	return rows(r, "msg", func(row *row) sysv.QueueInfo {
		q := sysv.QueueInfo{QBytes: UnknownQBytes}
		q.Key, q.ID = row.key(), row.id()
		q.Mode = fs.FileMode(row.octal()).Perm()
		q.CBytes, q.QNum = row.unsigned(), row.unsigned()
		q.LSPID, q.LRPID = row.pid(), row.pid()
		row.owners(&q.Perm)
		q.STime, q.RTime, q.CTime = row.time(), row.time(), row.time()
		return q
	})
}

// rows parses a file of /proc/sysvipc: a line of column names, then a line of numbers
// for each object.
func rows[T any](r io.Reader, name string, read func(*row) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 16<<10), bufio.MaxScanTokenSize)
		for number := 0; lines.Scan(); number++ {
			if number == 0 {
				continue
			}
			row := row{rest: lines.Bytes()}
			object := read(&row)
			if row.err != nil {
				yield(none, fmt.Errorf("sysvipc/%s: line %d: %w", name, number+1, row.err))
				return
			}
			if !yield(object, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(none, fmt.Errorf("sysvipc/%s: %w", name, err))
		}
	}
}

var (
	errTooFew = errors.New("too few columns")
	errNumber = errors.New("not a number that fits its column")
)

// row takes numbers off a line. After an error it returns zeros; err is the first
// error.
type row struct {
	rest []byte
	err  error
}

// more reports whether there is another column.
func (r *row) more() bool {
	for len(r.rest) > 0 && r.rest[0] == ' ' {
		r.rest = r.rest[1:]
	}
	return len(r.rest) > 0
}

// number parses digits in a base, at most limit, with an optional minus sign.
func (r *row) number(base, limit uint64) (n uint64, negative bool) {
	if r.err != nil {
		return 0, false
	}
	if !r.more() {
		r.err = errTooFew
		return 0, false
	}
	if r.rest[0] == '-' {
		negative = true
		r.rest = r.rest[1:]
	}
	digits := 0
	for ; digits < len(r.rest) && r.rest[digits] != ' '; digits++ {
		d := uint64(r.rest[digits]) - '0'
		if d >= base || n > (limit-d)/base {
			r.err = errNumber
			return 0, false
		}
		n = n*base + d
	}
	if digits == 0 {
		r.err = errNumber
		return 0, false
	}
	r.rest = r.rest[digits:]
	return n, negative
}

func (r *row) positive(base, limit uint64) uint64 {
	n, negative := r.number(base, limit)
	if negative {
		r.err = errNumber
		return 0
	}
	return n
}

func (r *row) signed(least, most int64) int64 {
	n, negative := r.number(10, 1<<63)
	value := int64(n)
	if negative {
		value = -value
	} else if n > math.MaxInt64 {
		r.err = errNumber
	}
	if r.err == nil && (value < least || value > most) {
		r.err = errNumber
	}
	if r.err != nil {
		return 0
	}
	return value
}

func (r *row) unsigned() uint64 { return r.positive(10, math.MaxUint64) }
func (r *row) octal() uint32    { return uint32(r.positive(8, math.MaxUint32)) }
func (r *row) key() sysv.Key    { return sysv.Key(r.signed(math.MinInt32, math.MaxInt32)) }
func (r *row) id() int          { return int(r.signed(0, math.MaxInt32)) }
func (r *row) pid() int         { return int(r.signed(0, math.MaxInt32)) }
func (r *row) account() uint32  { return uint32(r.positive(10, math.MaxUint32)) }

func (r *row) owners(p *sysv.Perm) {
	p.UID, p.GID, p.CUID, p.CGID = r.account(), r.account(), r.account(), r.account()
}

func (r *row) time() time.Time {
	seconds := r.signed(math.MinInt64, math.MaxInt64)
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
