package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/sysv"
)

// piece is how much of a segment is copied at a time.
const piece = 1 << 20

// Save saves an object. When it returns without an error everything is on disk. It
// is an error if the backup has an object of that kind and identifier already.
//
// A segment is attached read-only for it, and each of its pages is made present.
func (s *Store) Save(kind sysv.Kind, id int) error {
	e, err := s.save(kind, id)
	if err != nil {
		return fmt.Errorf("%v:%d can not be saved: %w", kind, id, err)
	}
	content, err := encode(e)
	if err != nil {
		return err
	}
	if _, err := s.root.Lstat(e.name() + ".json"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has a backup of %v already; choose another directory", s.dir, e)
	}
	return s.commit(e.name()+".json", content)
}

func (s *Store) save(kind sysv.Kind, id int) (*Entry, error) {
	switch kind {
	case sysv.Shm:
		return s.saveSegment(sysv.Segment(id))
	case sysv.Sem:
		return saveSet(sysv.Set(id))
	default:
		return saveQueue(sysv.Queue(id))
	}
}

func (s *Store) saveSegment(segment sysv.Segment) (*Entry, error) {
	mem, err := segment.Attach(sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	e, err := s.saveAttached(segment, mem)
	return e, errors.Join(err, mem.Detach())
}

func (s *Store) saveAttached(segment sysv.Segment, mem *sysv.Attachment) (*Entry, error) {
	info, err := segment.Stat()
	if err != nil {
		return nil, err
	}
	e := newEntry(sysv.Shm, int(segment), &info.Perm)
	if _, err := s.root.Lstat(e.name() + ".json"); err == nil {
		return e, nil // Save will say so; the data that belongs to it stays
	}
	hash := sha256.New()
	err = s.write(e.name()+".data", func(f *os.File) error {
		return s.copy(e.String(), sparse{f}, io.TeeReader(io.NewSectionReader(mem, 0, info.Size), hash), info.Size)
	})
	e.Segment = &Segment{Size: info.Size, Locked: info.Locked, SHA256: hex.EncodeToString(hash.Sum(nil))}
	return e, err
}

// copy copies size bytes in pieces.
func (s *Store) copy(what string, w io.Writer, r io.Reader, size int64) error {
	buf := make([]byte, min(piece, size))
	for done := int64(0); done < size; {
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), size-done)])
		if err != nil {
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		done += int64(n)
		if s.Progress != nil {
			s.Progress(what, done, size)
		}
	}
	if f, ok := w.(sparse); ok {
		return f.Truncate(size)
	}
	return nil
}

// sparse leaves holes in a file for pieces that are all zeros.
type sparse struct{ *os.File }

func (f sparse) Write(p []byte) (int, error) {
	if len(bytes.TrimLeft(p, "\x00")) > 0 {
		return f.File.Write(p)
	}
	_, err := f.Seek(int64(len(p)), io.SeekCurrent)
	return len(p), err
}

func saveSet(set sysv.Set) (*Entry, error) {
	info, err := set.Stat()
	if err != nil {
		return nil, err
	}
	values, err := set.Values()
	if err != nil {
		return nil, err
	}
	e := newEntry(sysv.Sem, int(set), &info.Perm)
	e.Set = &Set{values}
	return e, nil
}

func saveQueue(queue sysv.Queue) (*Entry, error) {
	info, err := queue.Stat()
	if err != nil {
		return nil, err
	}
	limits, err := sysv.MsgLimits()
	if err != nil {
		return nil, err
	}
	e := newEntry(sysv.Msg, int(queue), &info.Perm)
	e.Queue = &Queue{QBytes: info.QBytes, Messages: []Message{}}
	// MSGMAX may have been lowered since a message was sent.
	buf := make([]byte, max(uint64(limits.MaxSize), info.CBytes))
	for index := 0; ; index++ {
		n, mtype, ok, err := queue.Peek(index, buf, false)
		if err != nil {
			return nil, err
		}
		if !ok {
			return e, nil
		}
		e.Queue.Messages = append(e.Queue.Messages, Message{mtype, bytes.Clone(buf[:n])})
	}
}
