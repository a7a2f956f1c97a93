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

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// Save saves an object. When it returns without an error everything is on disk. It
// is an error if the backup has an object of that kind and identifier already, or if
// a queue changes meanwhile.
//
// A segment is attached read-only for it, and each of its pages is made present. The
// contents of memory that others write to are those of no single moment.
//
// A POSIX queue is saved only if it is empty: the kernel gives its messages to nobody
// but who takes them.
func (s *Store) Save(o ref.Object) error {
	name := fileName(o)
	if _, err := s.root.Lstat(name + entrySuffix); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has a backup of %v already; choose another directory", s.dir, o)
	}
	e, err := s.save(o)
	if err != nil {
		return fmt.Errorf("%v can not be saved: %w", o, err)
	}
	content, err := encode(e)
	if err != nil {
		return err
	}
	return s.commit(name+entrySuffix, content)
}

func (s *Store) save(o ref.Object) (*Entry, error) {
	switch o.Kind {
	case ref.Shm:
		return s.saveSegment(sysv.Segment(o.ID))
	case ref.Sem:
		return saveSet(sysv.Set(o.ID))
	case ref.Msg:
		return saveQueue(sysv.Queue(o.ID))
	case ref.PShm:
		return s.saveObject(o.Name)
	case ref.PSem:
		return saveSemaphore(o.Name)
	default:
		return saveMQueue(o.Name)
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
	e := newEntry(ofSegment(&info))
	e.Segment = &Segment{Size: info.Size, Locked: info.Locked}
	return e, s.writeData(e, mem)
}

// writeData saves the contents of memory, and notes their checksum.
func (s *Store) writeData(e *Entry, mem io.ReaderAt) error {
	hash, size := sha256.New(), e.Segment.Size
	err := s.write(e.name()+dataSuffix, func(f *os.File) error {
		from := io.TeeReader(io.NewSectionReader(mem, 0, size), hash)
		if err := s.copyData(e.String(), f, from, size); err != nil {
			return err
		}
		return errors.Join(f.Truncate(size), f.Sync())
	})
	e.Segment.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return err
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
	e := newEntry(ofSet(&info))
	e.Set = &Set{Values: values, Ready: !info.OTime.IsZero()}
	return e, nil
}

func saveQueue(queue sysv.Queue) (*Entry, error) {
	before, err := queue.Stat()
	if err != nil {
		return nil, err
	}
	messages, err := peekAll(queue)
	if err != nil {
		return nil, err
	}
	// Whoever takes a message moves those behind it, so that one may have been missed.
	after, err := queue.Stat()
	if err != nil {
		return nil, err
	}
	if before != after || after.QNum != uint64(len(messages)) {
		return nil, errors.New("it is being used: its messages changed meanwhile")
	}
	e := newEntry(ofQueue(&after))
	e.Queue = &Queue{QBytes: after.QBytes, Messages: messages}
	return e, nil
}

// peekAll copies all messages. The buffer grows as it has to: MSGMAX says nothing of
// messages that were sent before it was lowered, and is much more than most have.
func peekAll(queue sysv.Queue) ([]Message, error) {
	messages := []Message{}
	buf := make([]byte, block)
	for {
		n, mtype, ok, err := queue.Peek(len(messages), buf, false)
		switch {
		case errors.Is(err, abi.E2BIG):
			buf = make([]byte, 2*len(buf))
		case err != nil || !ok:
			return messages, err
		default:
			messages = append(messages, Message{mtype, bytes.Clone(buf[:n])})
		}
	}
}
