package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// Keys of the textbook pair.
const (
	ClassicKey    sysv.Key = 1234
	ClassicSemKey sysv.Key = 6666
)

// A Classic is one or both sides of the textbook pair. The segment holds a line with
// its newline and a NUL; the semaphore counts the lines written.
type Classic struct {
	segment sysv.Segment
	set     sysv.Set
	mem     *sysv.Attachment
}

// OpenClassic opens the segment and the semaphore, or makes them if they do not exist. As
// in the textbook, a segment made by a reader is writable for everybody, and one made by a
// writer only for its own user.
func OpenClassic(config Config, reader bool) (*Classic, error) {
	mode := fs.FileMode(0o644)
	if reader {
		mode = 0o666
	}
	segment, made, err := sysvipc.OpenOrCreateSegment(config.Key, config.Size, &sysv.SegmentOptions{Mode: mode})
	if err != nil {
		return nil, err
	}
	c := &Classic{segment: segment}
	if err := c.open(config.SemKey, reader); err != nil {
		if made {
			err = errors.Join(err, segment.Remove())
		}
		return nil, err
	}
	return c, nil
}

// classicSet makes the set, or opens an existing one. Like the classic programs, it sets no
// values.
func classicSet(key sysv.Key) (sysv.Set, error) {
	for {
		s, err := sysv.CreateSet(key, 1, &sysv.SetOptions{Mode: 0o666})
		if !errors.Is(err, fs.ErrExist) {
			return s, err
		}
		if s, err = sysv.OpenSet(key); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
}

func (c *Classic) open(semKey sysv.Key, reader bool) (err error) {
	if c.mem, err = c.segment.Attach(nil); err != nil {
		return err
	}
	c.set, err = classicSet(semKey)
	if err != nil {
		return errors.Join(err, c.mem.Detach())
	}
	if reader {
		err = c.set.SetValue(0, 0)
	}
	if err != nil {
		return errors.Join(err, c.mem.Detach())
	}
	return nil
}

// Segment returns the segment of the pair.
func (c *Classic) Segment() sysv.Segment { return c.segment }

// Addr returns the address at which the segment is attached.
func (c *Classic) Addr() uintptr { return c.mem.Addr() }

// Set returns the semaphore set of the pair.
func (c *Classic) Set() sysv.Set { return c.set }

// Ends reports whether a line ends the pair, because it begins with "end".
func Ends(line []byte) bool { return bytes.HasPrefix(line, []byte(End)) }

// Write puts the line and a newline into the segment, even if the previous line was not
// read, and raises the semaphore.
func (c *Classic) Write(line []byte) error {
	text := append(bytes.Clone(line), '\n', 0)
	if size := c.mem.Len(); len(text) > size {
		return fmt.Errorf("a line of %d bytes does not fit: the classic protocol passes at most %d", len(line), size-2)
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return errors.New("a line with a zero byte cannot be passed: the classic protocol ends a line there")
	}
	// Like strncpy, clear the rest of the segment.
	if _, err := c.mem.WriteAt(append(text, make([]byte, c.mem.Len()-len(text))...), 0); err != nil {
		return err
	}
	_, err := c.set.TryDo(up(0))
	return err
}

// Read waits for a line and returns it without its newline.
func (c *Classic) Read(ctx context.Context) ([]byte, error) {
	if err := c.set.Do(ctx, down(0)); err != nil {
		return nil, err
	}
	text := make([]byte, c.mem.Len())
	if _, err := c.mem.ReadAt(text, 0); err != nil {
		return nil, err
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	return bytes.TrimSuffix(text, []byte{'\n'}), nil
}

// Close detaches. It removes the segment and the semaphore if remove is set, which is
// the reader's job, or if nobody else is attached and no line is waiting.
func (c *Classic) Close(remove bool) error {
	err := c.mem.Detach()
	if !remove {
		remove = c.abandoned()
	}
	if !remove {
		return err
	}
	return errors.Join(err, ignoreGone(c.set.Remove()), ignoreGone(c.segment.Remove()))
}

func (c *Classic) abandoned() bool {
	info, err := c.segment.Stat()
	waiting, err2 := c.set.Value(0)
	return err == nil && err2 == nil && info.NAttch == 0 && waiting == 0
}

// Interrupted closes a side that was told to stop midway: it removes both objects
// unless the other side is still attached.
func (c *Classic) Interrupted() error {
	err := c.mem.Detach()
	info, err2 := c.segment.Stat()
	if err2 != nil || info.NAttch > 0 {
		return errors.Join(err, ignoreGone(err2))
	}
	return errors.Join(err, ignoreGone(c.set.Remove()), ignoreGone(c.segment.Remove()))
}
