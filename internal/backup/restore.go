package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/sysvipc/gipc/internal/explain"
	"github.com/sysvipc/gipc/sysv"
)

// verifyData holds the contents of a segment against their checksum.
func (s *Store) verifyData(e *Entry) error {
	f, err := s.openFile(e.name() + ".data")
	if err != nil {
		return fmt.Errorf("has no contents: %w", err)
	}
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	switch err := errors.Join(err, f.Close()); {
	case err != nil:
		return err
	case n != e.Segment.Size || hex.EncodeToString(hash.Sum(nil)) != e.Segment.SHA256:
		return fmt.Errorf("has contents of another checksum in %s.data", e.name())
	}
	return nil
}

// Restore makes an object again, with its key, owner, mode and contents, and with
// its identifier if the kernel allows to choose it (it takes CAP_CHECKPOINT_RESTORE
// and a free place). It returns the identifier. If anything fails nothing is left of
// what it made. A key that is taken is fs.ErrExist.
func (s *Store) Restore(e *Entry) (id int, err error) {
	forget := chooseID(e)
	defer forget()
	switch {
	case e.Segment != nil:
		return s.restoreSegment(e)
	case e.Set != nil:
		return restoreSet(e)
	default:
		return restoreQueue(e)
	}
}

// chooseID asks the kernel to give the next object of the kind this identifier; the
// function that it returns takes that back. Without the right to, or where the
// kernel can't, nothing happens, and the object gets another identifier.
func chooseID(e *Entry) (forget func()) {
	path := "/proc/sys/kernel/" + e.Kind + "_next_id"
	if os.WriteFile(path, []byte(strconv.Itoa(e.ID)), 0) != nil {
		return func() {}
	}
	return func() { _ = os.WriteFile(path, []byte("-1"), 0) }
}

// removable is an object that was just made.
type removable interface {
	~int
	Remove() error
}

// finished returns the identifier of an object that was made, or removes it if err
// says that it could not be finished.
func finished[T removable](object T, err error) (int, error) {
	if err != nil {
		return -1, errors.Join(err, object.Remove())
	}
	return int(object), nil
}

// private is the mode that an object has until it is finished.
const private = 0o600

func (s *Store) restoreSegment(e *Entry) (int, error) {
	segment, err := sysv.CreateSegment(e.key(), e.Segment.Size, sysv.SegmentOptions{Mode: private, Exclusive: true})
	if err != nil {
		return -1, &explain.Creation{Size: e.Segment.Size, Err: err}
	}
	err = s.fill(segment, e)
	if err == nil && e.Segment.Locked {
		err = segment.Lock()
	}
	if err == nil {
		err = segment.Set(e.ownership())
	}
	return finished(segment, err)
}

func (s *Store) fill(segment sysv.Segment, e *Entry) error {
	f, err := s.openFile(e.name() + ".data")
	if err != nil {
		return err
	}
	defer f.Close()
	mem, err := segment.Attach(sysv.AttachOptions{})
	if err != nil {
		return err
	}
	err = s.copy(e.String(), io.NewOffsetWriter(mem, 0), f, e.Segment.Size)
	return errors.Join(err, mem.Detach())
}

func restoreSet(e *Entry) (int, error) {
	set, err := sysv.CreateSet(e.key(), len(e.Set.Values), sysv.SetOptions{Mode: private, Exclusive: true})
	if err != nil {
		return -1, &explain.Creation{NSems: len(e.Set.Values), Err: err}
	}
	err = set.SetValues(e.Set.Values)
	if err == nil {
		err = markReady(set, e.Set.Values[0])
	}
	if err == nil {
		err = set.Set(e.ownership())
	}
	return finished(set, err)
}

// markReady sets sem_otime, by which programs see that a set has its values, with a
// semop that changes nothing.
func markReady(set sysv.Set, value uint16) error {
	up, down := sysv.Op{Add: 1}, sysv.Op{Add: -1, NoWait: true}
	if value > 0 {
		up, down = down, up
	}
	_, err := set.TryDo(up, down)
	return err
}

func restoreQueue(e *Entry) (int, error) {
	queue, err := sysv.CreateQueue(e.key(), sysv.QueueOptions{Mode: private, Exclusive: true})
	if err != nil {
		return -1, &explain.Creation{Err: err}
	}
	info, err := queue.Stat()
	if err == nil && info.QBytes != e.Queue.QBytes {
		err = queue.Set(info.Ownership(), e.Queue.QBytes)
	}
	for i := range e.Queue.Messages {
		if err != nil {
			break
		}
		var room bool
		if room, err = queue.TrySend(e.Queue.Messages[i].Type, e.Queue.Messages[i].Text); err == nil && !room {
			err = fmt.Errorf("message %d of %d does not fit into the queue", i+1, len(e.Queue.Messages))
		}
	}
	if err == nil {
		err = queue.Set(e.ownership(), e.Queue.QBytes)
	}
	return finished(queue, err)
}
