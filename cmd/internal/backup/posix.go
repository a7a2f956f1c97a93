package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
)

func (s *Store) saveObject(name string) (*Entry, error) {
	o, err := posix.OpenObject(name, posix.ReadOnly)
	if err != nil {
		return nil, err
	}
	e, err := s.saveOpen(o)
	return e, errors.Join(err, o.Close())
}

func (s *Store) saveOpen(o *posix.Object) (*Entry, error) {
	info, err := o.Stat()
	if err != nil {
		return nil, err
	}
	e := newFileEntry(ref.PShm, &info)
	e.Segment = &Segment{Size: info.Size}
	err = s.writeData(e, o.File())
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errors.New("it is being used: it became shorter meanwhile")
	}
	return e, err
}

func saveSemaphore(name string) (*Entry, error) {
	info, err := posix.StatSemaphore(name)
	const bits = 2 * posix.SemaphoreSize // of this program
	switch {
	case err != nil:
		return nil, err
	case !info.Known:
		return nil, fmt.Errorf("it may not be read, or is %w", posix.ErrNotSemaphore)
	case info.Bits != bits:
		return nil, fmt.Errorf("it is of a %d-bit program, and one of %d bits would make another one of it", info.Bits, bits)
	}
	e := newFileEntry(ref.PSem, &info.FileInfo)
	e.Semaphore = &Semaphore{Value: info.Value}
	return e, nil
}

func saveMQueue(name string) (*Entry, error) {
	info, err := posix.StatQueue(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Known:
		return nil, fs.ErrPermission
	case info.CurMsgs > 0:
		return nil, fmt.Errorf("it holds messages (%d), and the kernel gives them only to who takes them", info.CurMsgs)
	}
	e := newFileEntry(ref.PMsg, &info.FileInfo)
	e.MQueue = &MQueue{MaxMsgs: info.MaxMsgs, MsgSize: info.MsgSize}
	return e, nil
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

// settleFile looks for an object that is there already, and removes a queue that a
// Restore which was killed left half made.
func (s *Store) settleFile(e *Entry) (there bool, err error) {
	found, err := s.findFile(e)
	if err == nil && found == halfMade {
		err = posix.UnlinkQueue(string(e.Name))
	}
	return found == restored, err
}

// What has the name of an object.
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

// began tells whether a queue that is not ready can be what an attempt made.
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

// taken is fs.ErrExist for the name of an object.
type taken ref.Object

func (e taken) Error() string { return fmt.Sprintf("%s %s exists already", e.Kind.Noun(), e.Name) }

func (e taken) Is(target error) bool { return target == fs.ErrExist }

// naming is the error of giving an object its name.
func naming(e *Entry, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return taken(e.Ref())
	}
	return err
}

// makeFile makes memory or a semaphore: a file that gets its name when it is whole.
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
		err = s.noteFile(e, f)
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
	return s.readData(e, func(r io.Reader) error { return s.copyData(e.String(), f, r, e.Segment.Size) })
}

func fillSemaphore(e *Entry, f *os.File) error {
	if err := f.Truncate(posix.SemaphoreSize); err != nil {
		return err
	}
	m, err := posix.MapFile(f, posix.MapOptions{})
	if err != nil {
		return err
	}
	_, err = posix.InitSemaphore(m, 0, e.Semaphore.Value)
	return errors.Join(err, m.Unmap())
}

// unreadyQueue is the mode that a queue has until it is finished: nobody but root uses
// it, and an execute bit marks it.
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
	q, err := posix.CreateQueue(string(e.Name), posix.QueueOptions{
		Mode: unreadyQueue(e), Exclusive: true, MaxMsgs: e.MQueue.MaxMsgs, MsgSize: e.MQueue.MsgSize,
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
