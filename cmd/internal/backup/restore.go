package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// Restore recreates an object of Entries with its key, owner, mode and contents. It keeps
// its identifier if the kernel allows (that takes CAP_CHECKPOINT_RESTORE and a free slot).
// Restore returns the identifier, or 0 for a POSIX object. If it fails it leaves nothing
// behind. The error is fs.ErrExist if the key or the name is taken.
//
// If the object exists, because it was never removed or was already restored, made is
// false. Restore first removes any object that a killed Restore left unfinished.
func (s *Store) Restore(e *Entry) (id int, made bool, err error) {
	whole, err := s.entry(e.name())
	switch {
	case err != nil:
		return -1, false, err
	case whole.sum != e.sum:
		return -1, false, errors.New("was replaced since it was verified")
	}
	if whole.kind().POSIX() {
		made, err := s.restoreFile(whole)
		return 0, made, err
	}
	id, there, err := s.settle(whole)
	if there || err != nil {
		return id, false, err
	}
	id, err = s.make(whole)
	return id, err == nil, err
}

// Foresee reports what Restore would find, without changing anything: there and the
// identifier if the object exists, fs.ErrExist if another object has its key or name.
func (s *Store) Foresee(e *Entry) (id int, there bool, err error) {
	if e.kind().POSIX() {
		found, err := s.findFile(e)
		if err == nil && found == another {
			err = taken(e.Ref())
		}
		return 0, found == restored, err
	}
	o, err := s.find(e)
	switch {
	case err != nil:
		return -1, false, err
	case o == nil:
		return -1, false, foreign(e)
	case o.isHalf(e):
		return -1, false, nil
	default:
		return o.id, true, nil
	}
}

// foreign returns an error if an object has the key of e.
func foreign(e *Entry) error {
	if e.key() == sysv.Private {
		return nil
	}
	for o, err := range objects(e.kind()) {
		if err != nil {
			return err
		}
		if o.Key == e.key() {
			return &sysv.Error{Op: "restore", Kind: sysv.Kind(o.kind), Key: o.Key, ByKey: true, Err: syscall.EEXIST}
		}
	}
	return nil
}

func (s *Store) make(e *Entry) (int, error) {
	if err := s.note(e, attempt{ID: -1}); err != nil {
		return -1, err
	}
	id, err := create(e)
	if err != nil {
		return -1, errors.Join(err, s.forget(e.name()+attemptSuffix))
	}
	err = s.note(e, attempt{ID: id})
	if err == nil {
		err = s.finish(e, id)
	}
	if err == nil {
		return id, nil
	}
	if e := remove(e.kind(), id); e != nil {
		return -1, errors.Join(err, e) // Restore still needs the note
	}
	return -1, errors.Join(err, s.forget(e.name()+attemptSuffix))
}

// unready returns the mode of an unfinished object: only its owner can use it, and an
// execute bit marks it.
func unready(e *Entry) fs.FileMode {
	const mode = 0o610
	if e.Mode == mode {
		return mode | 0o001
	}
	return mode
}

// create makes an unfinished object.
func create(e *Entry) (int, error) {
	defer chooseID(e)()
	switch {
	case e.Segment != nil:
		o := &sysv.SegmentOptions{Mode: unready(e)}
		segment, err := sysv.CreateSegment(e.key(), e.Segment.Size, o)
		if errors.Is(err, syscall.ENOMEM) { // it may have been made with SHM_NORESERVE, which the kernel does not report
			o.NoReserve = true
			segment, err = sysv.CreateSegment(e.key(), e.Segment.Size, o)
		}
		return int(segment), err
	case e.Set != nil:
		set, err := sysv.CreateSet(e.key(), len(e.Set.Values), &sysv.SetOptions{Mode: unready(e)})
		return int(set), err
	default:
		queue, err := sysv.CreateQueue(e.key(), &sysv.QueueOptions{Mode: unready(e)})
		return int(queue), err
	}
}

// chooseID asks the kernel to give the next object of the kind this identifier. If the
// caller lacks the right, or the kernel cannot do it, the object gets another identifier.
//
// chooseID does not ask for a taken slot. The kernel would use the next free one; past the
// last slot it would make an object that nobody can find.
//
// Only making an object clears the choice; the sysctl takes no negative number. So the
// returned function makes an object if the choice is still pending, either because making
// the first one failed or because an earlier process was killed.
func chooseID(e *Entry) (forget func()) {
	path := "/proc/sys/kernel/" + e.Kind + "_next_id"
	next, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return func() {}
	}
	id := strconv.Itoa(e.ID)
	if _, err := sysvipc.Slot(sysv.Kind(e.kind()), e.ID); errors.Is(err, fs.ErrNotExist) {
		_, _ = next.WriteString(id) // another identifier will do
	}
	_ = next.Close()
	return func() {
		if stands, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(stands)) == id {
			spend(e.kind())
		}
	}
}

// spend makes an object that nobody can use and removes it, which clears the choice.
func spend(kind ref.Kind) {
	id, err := createEmpty(kind)
	if err == nil { // else the namespace is full, and nobody can make an object
		_ = remove(kind, id)
	}
}

// finish fills an object and, last, sets its owner and mode.
func (s *Store) finish(e *Entry, id int) error {
	switch {
	case e.Segment != nil:
		return s.finishSegment(e, sysv.Segment(id))
	case e.Set != nil:
		return finishSet(e, sysv.Set(id))
	default:
		return finishQueue(e, sysv.Queue(id))
	}
}

func (s *Store) finishSegment(e *Entry, segment sysv.Segment) error {
	mem, err := segment.Attach(nil)
	if err != nil {
		return err
	}
	err = s.readData(e, func(p []byte, offset int64) error {
		_, err := mem.WriteAt(p, offset)
		return err
	})
	if err := errors.Join(err, mem.Detach()); err != nil {
		return err
	}
	if e.Segment.Locked {
		if err := segment.Lock(); err != nil {
			return err
		}
	}
	return segment.SetOwnership(e.ownership())
}

func finishSet(e *Entry, set sysv.Set) error {
	if err := set.SetValues(e.Set.Values); err != nil {
		return err
	}
	if e.Set.Ready {
		if err := markReady(set, e.Set.Values[0]); err != nil {
			return err
		}
	}
	return set.SetOwnership(e.ownership())
}

// markReady sets sem_otime with a semop that changes nothing. Programs take a nonzero
// sem_otime as the sign that a set is initialized.
func markReady(set sysv.Set, value uint16) error {
	up, down := sysv.Op{Add: 1}, sysv.Op{Add: -1, NoWait: true}
	if value > 0 {
		up, down = down, up
	}
	_, err := set.TryDo(up, down)
	return err
}

func finishQueue(e *Entry, queue sysv.Queue) error {
	info, err := queue.Stat()
	if err != nil {
		return err
	}
	// The queue may hold more than its limit, if that was lowered.
	room := max(e.Queue.QBytes, uint64(len(e.Queue.Messages)))
	bytes := uint64(0)
	for i := range e.Queue.Messages {
		bytes += uint64(len(e.Queue.Messages[i].Text))
	}
	if room = max(room, bytes); room > info.QBytes {
		if err := queue.SetOwnership(info.Ownership(), room); err != nil {
			return err
		}
	}
	for i, m := range e.Queue.Messages {
		room, err := queue.TrySend(m.Type, m.Text)
		if err == nil && !room {
			err = errors.New("the queue is full")
		}
		if err != nil {
			return fmt.Errorf("message %d of %d: %w", i+1, len(e.Queue.Messages), err)
		}
	}
	return queue.SetOwnership(e.ownership(), e.Queue.QBytes)
}
