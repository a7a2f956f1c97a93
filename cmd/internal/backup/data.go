package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// A .data file holds memory as records: an offset, a length (8 bytes each, big-endian),
// and that many bytes. Offsets ascend, and gaps are zero. So the file is as large as
// the memory in use, however large the object claims to be, on every file system, and
// the checksum covers all of it. Version 1 held the contents byte by byte.
const (
	recordHead = 16
	piece      = 1 << 20 // the most bytes in a record, and in one copy
	block      = 4 << 10 // a block of this size that is all zeros is left out
)

// A dataWriter writes the records of a .data file.
type dataWriter struct {
	*bufio.Writer
	hash  hash.Hash
	zeros [block]byte
}

func newDataWriter(f io.Writer) *dataWriter {
	h := sha256.New()
	return &dataWriter{Writer: bufio.NewWriterSize(io.MultiWriter(f, h), piece), hash: h}
}

// add writes a record of each run of blocks in p that are not all zeros.
func (w *dataWriter) add(p []byte, offset int64) error {
	begin := 0
	flush := func(end int) error {
		if begin == end {
			return nil
		}
		var head [recordHead]byte
		binary.BigEndian.PutUint64(head[:], uint64(offset)+uint64(begin))
		binary.BigEndian.PutUint64(head[8:], uint64(end-begin))
		if _, err := w.Write(head[:]); err != nil {
			return err
		}
		_, err := w.Write(p[begin:end])
		return err
	}
	for at := 0; at < len(p); at += block {
		end := min(at+block, len(p))
		if !bytes.Equal(p[at:end], w.zeros[:end-at]) {
			continue
		}
		if err := flush(at); err != nil {
			return err
		}
		begin = end
	}
	return flush(len(p))
}

func (w *dataWriter) sum() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// writeData saves the memory of e and records its checksum. It stops when going, called
// after each piece, returns an error.
func (s *Store) writeData(ctx context.Context, e *Entry, m *memory, going func() error) error {
	if room, err := s.room(); err != nil || m.present > room {
		return errors.Join(err, &fullError{s.dir, m.present, room})
	}
	return s.replace(e.name()+dataSuffix, func(f *os.File) error {
		w, buf, done := newDataWriter(f), make([]byte, piece), int64(0)
		err := m.each(buf, func(p []byte, offset int64) error {
			if err := errors.Join(ctx.Err(), going()); err != nil {
				return err
			}
			done += int64(len(p))
			s.progress(e, min(done, m.present), m.present)
			return w.add(p, offset)
		})
		s.progress(e, 1, 1)
		if err := errors.Join(err, w.Flush()); err != nil {
			return err
		}
		e.Segment.SHA256 = w.sum()
		return f.Sync()
	})
}

func (s *Store) progress(e *Entry, done, total int64) {
	if s.Progress != nil {
		s.Progress(e.String(), done, total)
	}
}

// A fullError means that a backup does not fit on its disk.
type fullError struct {
	dir           string
	needed, there int64
}

func (e *fullError) Error() string {
	return fmt.Sprintf("its contents take %d bytes, but %s has room for %d", e.needed, e.dir, e.there)
}

// readData calls put, unless nil, for the contents that are not zero, in ascending
// order, and verifies the checksum of everything it read.
func (s *Store) readData(e *Entry, put func(p []byte, offset int64) error) error {
	f, err := s.openFile(e.name() + dataSuffix)
	if err != nil {
		return fmt.Errorf("has no contents: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	done, hash := int64(0), sha256.New()
	r := bufio.NewReaderSize(io.TeeReader(f, hash), piece)
	next := func(p []byte, offset int64) error {
		if put == nil {
			return nil
		}
		done += int64(len(p))
		s.progress(e, min(done, info.Size()), info.Size())
		return put(p, offset)
	}
	if e.Version == 1 {
		err = readFlat(r, e.Segment.Size, next)
	} else {
		err = readRecords(r, e.Segment.Size, next)
	}
	s.progress(e, 1, 1)
	switch {
	case errors.Is(err, errRecords), err == nil && hex.EncodeToString(hash.Sum(nil)) != e.Segment.SHA256:
		return fmt.Errorf("has contents with a different size or checksum in %s%s", e.name(), dataSuffix)
	default:
		return err
	}
}

// errRecords means that a .data file is malformed.
var errRecords = errors.New("not the contents of memory")

func readRecords(r io.Reader, size int64, put func([]byte, int64) error) error {
	buf, end := make([]byte, piece), uint64(0)
	for {
		var head [recordHead]byte
		switch _, err := io.ReadFull(r, head[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return errRecords
		case err != nil:
			return err
		}
		offset, length := binary.BigEndian.Uint64(head[:]), binary.BigEndian.Uint64(head[8:])
		if length == 0 || length > piece || offset < end || offset > uint64(size) || length > uint64(size)-offset {
			return errRecords
		}
		if err := readWhole(r, buf[:length]); err != nil {
			return err
		}
		if err := put(buf[:length], int64(offset)); err != nil {
			return err
		}
		end = offset + length
	}
}

// readFlat reads a .data file of version 1.
func readFlat(r io.Reader, size int64, put func([]byte, int64) error) error {
	buf, zeros := make([]byte, block), make([]byte, block)
	for offset := int64(0); offset < size; {
		p := buf[:min(size-offset, block)]
		if err := readWhole(r, p); err != nil {
			return err
		}
		if !bytes.Equal(p, zeros[:len(p)]) {
			if err := put(p, offset); err != nil {
				return err
			}
		}
		offset += int64(len(p))
	}
	if _, err := io.ReadFull(r, buf[:1]); !errors.Is(err, io.EOF) {
		return errors.Join(errRecords, err)
	}
	return nil
}

func readWhole(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errRecords
	}
	return err
}
