package backup

import (
	"bytes"
	"io"
)

const (
	piece = 1 << 20 // how much of a segment is copied at a time
	block = 4 << 10 // what is all zeros in a block of this size is left out
)

// copyData copies size bytes to where zeros are already, and leaves blocks of zeros
// out: they take neither disk space in a file nor memory in a segment.
func (s *Store) copyData(what string, w io.WriterAt, r io.Reader, size int64) error {
	buf := make([]byte, min(piece, size))
	zeros := make([]byte, block)
	for done := int64(0); done < size; {
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), size-done)])
		if err != nil {
			return err
		}
		if err := writeSparse(w, buf[:n], done, zeros); err != nil {
			return err
		}
		done += int64(n)
		if s.Progress != nil {
			s.Progress(what, done, size)
		}
	}
	return nil
}

// writeSparse writes p at an offset, each run of blocks that are not zeros at once.
func writeSparse(w io.WriterAt, p []byte, offset int64, zeros []byte) error {
	begin := 0
	flush := func(end int) error {
		if begin == end {
			return nil
		}
		_, err := w.WriteAt(p[begin:end], offset+int64(begin))
		return err
	}
	for at := 0; at < len(p); at += block {
		end := min(at+block, len(p))
		if !bytes.Equal(p[at:end], zeros[:end-at]) {
			continue
		}
		if err := flush(at); err != nil {
			return err
		}
		begin = end
	}
	return flush(len(p))
}
