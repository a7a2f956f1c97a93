package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/posix"
)

func (s *Store) saveObject(ctx context.Context, name string) (*Entry, hold, error) {
	info, err := posix.StatObject(name)
	if err != nil {
		return nil, nil, err
	}
	h, err := holdFile(ref.Object{Kind: ref.PShm, Name: name}, &info)
	if err != nil {
		return nil, nil, err
	}
	e := newFileEntry(ref.PShm, &info)
	e.Segment = &Segment{}
	h.copy = func(going func() error) error {
		now, err := h.file.Stat()
		if err != nil {
			return err
		}
		_, _, present, err := identity(h.file)
		if err != nil {
			return err
		}
		e.Segment.Size = now.Size()
		return s.writeData(ctx, e, ofFile(h.file, now.Size(), present), going)
	}
	h.same = func() error { return sameData(ctx, e, h) }
	if err := h.save(); err != nil {
		return nil, nil, errors.Join(inUse(err), s.discard(e))
	}
	return e, h, nil
}

// inUse turns the error of a file that shrank while it was read into ErrUsed.
func inUse(err error) error {
	if errors.Is(err, errShorter) {
		return ErrUsed
	}
	return err
}

// sameData reads the file again and compares the checksum.
func sameData(ctx context.Context, e *Entry, h *heldFile) error {
	w := newDataWriter(io.Discard)
	err := ofFile(h.file, e.Segment.Size, 0).each(make([]byte, piece), func(p []byte, offset int64) error {
		return errors.Join(ctx.Err(), w.add(p, offset))
	})
	if err := errors.Join(inUse(err), w.Flush()); err != nil {
		return err
	}
	if w.sum() != e.Segment.SHA256 {
		return ErrUsed
	}
	return nil
}

func saveSemaphore(name string) (*Entry, hold, error) {
	info, err := posix.StatSemaphore(name)
	const bits = 2 * posix.SemaphoreSize // of semaphores of programs with this program's word size
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Known:
		return nil, nil, fmt.Errorf("it is not readable, or it is %w", posix.ErrNotSemaphore)
	case info.Bits != bits:
		return nil, nil, fmt.Errorf("it has the layout of %d-bit programs, and this program would restore it with the layout of %d-bit programs", info.Bits, bits)
	}
	h, err := holdFile(ref.Object{Kind: ref.PSem, Name: name}, &info.FileInfo)
	if err != nil {
		return nil, nil, err
	}
	e := newFileEntry(ref.PSem, &info.FileInfo)
	e.Semaphore = &Semaphore{}
	h.copy = func(func() error) (err error) {
		e.Semaphore.Value, err = valueOf(h.file)
		return err
	}
	h.same = func() error {
		now, err := valueOf(h.file)
		return unchanged(e.Semaphore.Value, now, err)
	}
	if err := h.save(); err != nil {
		return nil, nil, err
	}
	return e, h, nil
}

// valueOf returns the value of the semaphore in a file that is open for reading.
func valueOf(f *os.File) (int, error) {
	m, err := posix.MapFile(f, &posix.MapOptions{Private: true})
	if err != nil {
		return 0, err
	}
	value := 0
	s, err := posix.SemaphoreAt(m, 0)
	if err == nil {
		value, err = s.Value()
	}
	return value, errors.Join(err, m.Unmap())
}

func saveMQueue(name string) (*Entry, hold, error) {
	info, err := posix.StatQueue(name)
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Known:
		return nil, nil, fs.ErrPermission
	}
	h, err := holdFile(ref.Object{Kind: ref.PMsg, Name: name}, &info.FileInfo)
	if err != nil {
		return nil, nil, err
	}
	e := newFileEntry(ref.PMsg, &info.FileInfo)
	e.MQueue = &MQueue{MaxMsgs: info.MaxMsgs, MsgSize: info.MsgSize}
	h.same = func() error { return empty(h.file) }
	h.copy = func(func() error) error { return h.same() }
	if err := h.save(); err != nil {
		return nil, nil, err
	}
	return e, h, nil
}

// empty returns an error if the queue holds messages.
func empty(f *os.File) error {
	attr, e := abi.MqGetattr(f.Fd())
	switch {
	case e != 0:
		return e
	case attr.CurMsgs > 0:
		return fmt.Errorf("it holds messages (%d), and reading them would remove them", attr.CurMsgs)
	}
	return nil
}

// restoreFile is Restore for a POSIX object.
func (s *Store) restoreFile(e *Entry) (made bool, err error) {
	there, err := s.settleFile(e)
	if there || err != nil {
		return false, err
	}
	if e.MQueue != nil {
		err = s.makeMQueue(e)
	} else {
		err = s.makeFile(e)
	}
	if err != nil {
		return false, errors.Join(err, s.forget(e.name()+attemptSuffix))
	}
	return true, nil
}

// settleFile looks for the object of e, and removes a queue that a killed Restore left
// unfinished.
func (s *Store) settleFile(e *Entry) (there bool, err error) {
	found, err := s.findFile(e)
	if err == nil && found == halfMade {
		err = posix.UnlinkQueue(string(e.Name))
	}
	return found == restored, err
}

// A finding says which object, if any, has the name of a saved object.
type finding int

const (
	nothing finding = iota
	another
	halfMade
	restored // or never removed
)

func (s *Store) findFile(e *Entry) (finding, error) {
	now, err := statFile(e)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, posix.ErrNotMounted):
		return nothing, nil
	case err != nil:
		return nothing, err
	}
	if file := newFile(e.kind(), &now); file.Dev == e.File.Dev && file.Ino == e.File.Ino && file.Time.Equal(e.File.Time) {
		return restored, nil
	}
	a, err := s.lastAttempt(e)
	switch {
	case a == nil || err != nil:
		return another, err
	case e.MQueue != nil && now.Mode == unreadyQueue(e) && a.began(&now):
		return halfMade, nil
	case a.Dev == now.Dev && a.Ino == now.Ino:
		return restored, nil
	}
	return another, nil
}

// began reports whether the attempt can have made a queue that is not ready.
func (a *attempt) began(now *posix.FileInfo) bool {
	if a.Ino != 0 {
		return a.Dev == now.Dev && a.Ino == now.Ino
	}
	return now.UID == uint32(os.Geteuid()) && !now.MTime.Before(a.Began.Add(-clockSlack))
}

func statFile(e *Entry) (posix.FileInfo, error) {
	switch name := string(e.Name); {
	case e.Segment != nil:
		return posix.StatObject(name)
	case e.Semaphore != nil:
		info, err := posix.StatSemaphore(name)
		return info.FileInfo, err
	default:
		info, err := posix.StatQueue(name)
		return info.FileInfo, err
	}
}

// taken is fs.ErrExist for the name of a POSIX object.
type taken ref.Object

func (e taken) Error() string { return fmt.Sprintf("%s %s exists already", e.Kind.Noun(), e.Name) }

func (e taken) Is(target error) bool { return target == fs.ErrExist }

// naming replaces fs.ErrExist, from giving an object its name, by taken.
func naming(e *Entry, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return taken(e.Ref())
	}
	return err
}

// makeFile makes memory or a semaphore. The file gets its name when it is complete.
func (s *Store) makeFile(e *Entry) error {
	f, err := unnamedFile(shmDir)
	if err != nil {
		return err
	}
	defer f.Close()
	if e.Segment != nil {
		err = s.fillMemory(e, f)
	} else {
		err = fillSemaphore(e, f)
	}
	if err == nil {
		err = errors.Join(f.Chown(int(e.UID), int(e.GID)), f.Chmod(fs.FileMode(e.Mode)))
	}
	if err == nil {
		dev, ino, _, errFile := identity(f)
		err = errors.Join(errFile, s.note(e, attempt{ID: -1, Dev: dev, Ino: ino}))
	}
	if err != nil {
		return err
	}
	prefix := ""
	if e.Semaphore != nil {
		prefix = "sem."
	}
	return naming(e, linkFile(f, shmDir+"/"+prefix+string(e.Name[1:])))
}

const shmDir = "/dev/shm"

func (s *Store) fillMemory(e *Entry, f *os.File) error {
	if err := f.Truncate(e.Segment.Size); err != nil {
		return err
	}
	return s.readData(e, func(p []byte, offset int64) error {
		_, err := f.WriteAt(p, offset)
		return err
	})
}

func fillSemaphore(e *Entry, f *os.File) error {
	if err := f.Truncate(posix.SemaphoreSize); err != nil {
		return err
	}
	m, err := posix.MapFile(f, nil)
	if err != nil {
		return err
	}
	_, err = posix.InitSemaphore(m, 0, e.Semaphore.Value)
	return errors.Join(err, m.Unmap())
}

// unreadyQueue returns the mode of an unfinished queue: only root can use it, and an
// execute bit marks it.
func unreadyQueue(e *Entry) fs.FileMode {
	const mode = 0o100
	if e.Mode == mode {
		return 0o010
	}
	return mode
}

func (s *Store) makeMQueue(e *Entry) error {
	if err := s.note(e, attempt{ID: -1}); err != nil {
		return err
	}
	q, err := posix.CreateQueue(string(e.Name), &posix.QueueOptions{
		Mode: unreadyQueue(e), MaxMsgs: e.MQueue.MaxMsgs, MsgSize: e.MQueue.MsgSize,
	})
	if err != nil {
		return naming(e, err)
	}
	if err := errors.Join(s.finishMQueue(e, q), q.Close()); err != nil {
		return errors.Join(err, posix.UnlinkQueue(string(e.Name)))
	}
	return nil
}

func (s *Store) finishMQueue(e *Entry, q *posix.Queue) error {
	info, err := q.Stat()
	if err != nil {
		return err
	}
	if err := s.note(e, attempt{ID: -1, Dev: info.Dev, Ino: info.Ino}); err != nil {
		return err
	}
	if err := q.Chown(int(e.UID), int(e.GID)); err != nil {
		return err
	}
	return q.Chmod(fs.FileMode(e.Mode))
}
