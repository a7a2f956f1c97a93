package snapshot

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A Snapshot is a snapshot that was read.
type Snapshot struct {
	*Header
	// Texts are the names of the texts that Objects hold.
	Texts   []string
	Objects []Object
}

// program is the text that names an object's program.
const program = "program"

// always are the texts that a comparison shows.
func always() []string { return []string{"owner", program} }

// longestLine exceeds the length of a line that lists every pid of a machine.
const longestLine = 16 << 20

// Read reads a whole snapshot, plain or compressed. It keeps only the named texts and the
// texts that Diff shows. An error names the line. If the snapshot is damaged or incomplete,
// Read returns none of it.
func Read(r io.Reader, texts []string) (*Snapshot, error) {
	lines, err := open(r)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Texts: always()}
	for _, name := range texts {
		if !slices.Contains(s.Texts, name) {
			s.Texts = append(s.Texts, name)
		}
	}
	if s.Header, err = lines.header(); err != nil {
		return nil, err
	}
	// Do not trust the number of objects in the header before they are read.
	const most = 1 << 16
	s.Objects = make([]Object, 0, min(s.Header.Objects, most))
	d := newDecoder(s.Texts)
	for lines.next() {
		if len(s.Objects) == s.Header.Objects {
			return nil, lines.errorf("there are more objects than the %d that the header announces", s.Header.Objects)
		}
		o, err := d.decode(lines.Bytes())
		if err != nil {
			return nil, lines.errorf("%w", lines.blame(err))
		}
		s.Objects = append(s.Objects, o)
	}
	if err := lines.Err(); err != nil {
		return nil, lines.failure(err)
	}
	if n := len(s.Objects); n < s.Header.Objects {
		return nil, lines.errorf("it is cut short: there are %d of %d objects", n, s.Header.Objects)
	}
	return s, nil
}

// ReadHeader reads the header alone.
func ReadHeader(r io.Reader) (*Header, error) {
	lines, err := open(r)
	if err != nil {
		return nil, err
	}
	return lines.header()
}

// lines are the lines of a snapshot.
type lines struct {
	*bufio.Scanner
	n   int  // of the current line, from 1
	end bool // the last line has no line end
}

// open returns the lines of a snapshot, which may be compressed.
func open(r io.Reader) (*lines, error) {
	const buffer = 64 << 10
	b := bufio.NewReaderSize(r, buffer)
	l := &lines{}
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("line 1: %w", errForeign)
		}
		r = z
	} else {
		r = b
	}
	l.Scanner = bufio.NewScanner(r)
	l.Buffer(make([]byte, 0, buffer), longestLine)
	l.Split(l.split)
	return l, nil
}

// split is bufio.ScanLines, but notes whether the last line is complete.
func (l *lines) split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		l.end = true
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (l *lines) next() bool {
	l.n++
	return l.Scan()
}

// header parses the next line as the header.
func (l *lines) header() (*Header, error) {
	if !l.next() {
		if err := l.Err(); err != nil {
			return nil, l.failure(err)
		}
		return nil, l.errorf("it is empty")
	}
	if magic := []byte(`{"gipcs_snapshot":`); l.end && (bytes.HasPrefix(l.Bytes(), magic) || bytes.HasPrefix(magic, l.Bytes())) {
		return nil, l.errorf("it is cut short, in the header")
	}
	h, err := parseHeader(l.Bytes())
	if err != nil {
		return nil, l.errorf("%w", err)
	}
	return h, nil
}

// failure describes an error of reading.
func (l *lines) failure(err error) error {
	switch corrupt := flate.CorruptInputError(0); {
	case errors.Is(err, bufio.ErrTooLong):
		if l.n == 1 {
			err = errForeign
		} else {
			err = errors.New("it is too long")
		}
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it is cut short")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &corrupt):
		err = errors.New("the compressed data are damaged")
	default:
		return err
	}
	return l.errorf("%w", err)
}

// blame returns the error of a line. A line without a line end is cut short.
func (l *lines) blame(err error) error {
	if l.end {
		return errors.New("it is cut short")
	}
	return err
}

func (l *lines) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", l.n, fmt.Errorf(format, args...))
}
