package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

// End is the line that ends a writer and the reader.
const End = "end"

// ErrBusy is the error for a second reader.
var ErrBusy = errors.New("this session already has a reader")

// A Writer puts lines into the session.
type Writer struct {
	s    *Session
	line uint32
	pid  int32
}

// Writer returns a writer for process pid.
func (s *Session) Writer(pid int) *Writer { return &Writer{s: s, pid: int32(pid)} }

// Stuck reports whether a line is waiting and there is no reader.
func (w *Writer) Stuck() bool {
	free, err := w.s.set.Value(semFree)
	noReader, err2 := w.s.set.Value(semReader)
	return err == nil && err2 == nil && free == 0 && noReader > 0
}

// grace is how long a side that is cancelled in the middle of a line still waits for
// the other side's next step.
const grace = 500 * time.Millisecond

// wait performs op as soon as possible. If ctx has ended it does nothing between lines;
// within a line, which would be lost, it still waits for the grace period.
func (s *Session) wait(ctx context.Context, within bool, op sysv.Op) error {
	if err := ctx.Err(); err != nil && !within {
		return err
	}
	err := s.set.Do(ctx, op)
	if !within || ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if s.set.Do(short, op) == nil {
		return nil
	}
	return err
}

// Write passes a line of any length. It blocks until the reader has room for the last
// chunk; when it returns, the line may be unread. If it is cancelled within a line of
// several chunks and no reader takes the rest, a part stays behind, which the next
// reader detects and drops.
func (w *Writer) Write(ctx context.Context, line []byte) error {
	if err := w.s.set.Do(ctx, downUndo(semWriter)); err != nil {
		return err
	}
	w.line++
	err := w.writeChunks(ctx, line)
	_, err2 := w.s.set.TryDo(upUndo(semWriter))
	return errors.Join(err, err2)
}

func (w *Writer) writeChunks(ctx context.Context, line []byte) error {
	for offset := 0; offset == 0 || offset < len(line); {
		if err := w.s.wait(ctx, offset > 0, downUndo(semFree)); err != nil {
			return err
		}
		n := copy(w.s.chunk, line[offset:])
		h := w.s.head
		h.PID, h.Line, h.Total, h.Offset, h.Length = w.pid, w.line, uint64(len(line)), uint64(offset), uint64(n)
		if err := w.s.pass(semFree, semFull); err != nil {
			return err
		}
		offset = max(offset+n, 1)
	}
	return nil
}

// pass hands the chunk on in one step: it cancels the undo of the decrement of from,
// and raises to.
func (s *Session) pass(from, to uint16) error {
	_, err := s.set.TryDo(upUndo(from), down(from), up(to))
	return err
}

// Flush waits until the last line has been read.
func (w *Writer) Flush(ctx context.Context) error {
	return w.s.set.Do(ctx, down(semFree), up(semFree))
}

// A Reader takes lines out of the session.
type Reader struct {
	s       *Session
	partial []byte // of an incomplete line
	pid     int32  // of its writer
	line    uint32 // the writer's number of the line
	taken   bool   // the chunk is held until the next Read or Close
}

// Reader returns the reader. There is at most one; for a second, the error is ErrBusy.
func (s *Session) Reader() (*Reader, error) {
	ok, err := s.set.TryDo(downUndo(semReader))
	if err == nil && !ok {
		pid, _ := s.set.PID(semReader)
		err = fmt.Errorf("%w (pid %d)", ErrBusy, pid)
	}
	if err != nil {
		return nil, err
	}
	return &Reader{s: s}, nil
}

// A Line is a line of text and the process that wrote it.
type Line struct {
	PID  int
	Text []byte
}

// Read returns the next line; its Text is valid until the next Read or Done. Only that call
// marks the line as read. If the reader is killed before it, the next reader gets the line
// again; of a line of several chunks it gets only the last, which it drops. Parts of a line
// whose writer was killed are dropped.
func (r *Reader) Read(ctx context.Context) (Line, error) {
	for within := false; ; within = true {
		if err := r.Done(); err != nil {
			return Line{}, err
		}
		if err := r.s.wait(ctx, within, downUndo(semFull)); err != nil {
			return Line{}, err
		}
		r.taken = true
		whole, err := r.takeChunk()
		if whole || err != nil {
			return Line{PID: int(r.pid), Text: r.partial}, err
		}
	}
}

// Done marks the line that Read returned last as read.
func (r *Reader) Done() error {
	if !r.taken {
		return nil
	}
	r.taken = false
	return r.s.pass(semFull, semFree)
}

// takeChunk appends the chunk to the current line and reports whether the line is
// complete. It reads the header once and does not trust it.
func (r *Reader) takeChunk() (whole bool, err error) {
	h := r.s.head
	pid, line, total, offset, length := h.PID, h.Line, h.Total, h.Offset, h.Length
	if length > uint64(len(r.s.chunk)) || offset > total || length > total-offset {
		return false, errors.New("the segment holds an invalid chunk; is another program writing to it?")
	}
	if offset == 0 {
		r.pid, r.line, r.partial = pid, line, r.partial[:0]
	}
	if pid != r.pid || line != r.line || offset != uint64(len(r.partial)) {
		return false, nil // the beginning of this line went to another reader
	}
	r.partial = append(r.partial, r.s.chunk[:length]...)
	return uint64(len(r.partial)) == total, nil
}
