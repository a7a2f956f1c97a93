package shm

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
)

// A posixMapping is a mapped POSIX object. The file stays open, to tell the object from
// a later one with its name.
type posixMapping struct {
	*posix.Mapping
	object POSIXObject
	file   *posix.Object
}

func (m posixMapping) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.Mapping.ReadAt(p, off)
	return n, m.object.explain(err)
}

func (m posixMapping) WriteAt(p []byte, off int64) (int, error) {
	n, err := m.Mapping.WriteAt(p, off)
	return n, m.object.explain(err)
}

func (m posixMapping) Detach() error { return errors.Join(m.Unmap(), m.file.Close()) }

func (m posixMapping) State() (State, error) {
	info, err := m.file.Stat()
	return posixState(info), m.object.explain(err)
}

// Discard locks the file. Without the lock, two processes could discard the object at once,
// and the slower one could remove a new object that a third has made under the same name.
func (m posixMapping) Discard() error {
	mine, err := m.file.Stat()
	if err != nil {
		return err
	}
	fd := int(m.file.File().Fd())
	switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK): // another process is discarding it
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = unix.Flock(fd, unix.LOCK_UN) }()
	now, err := posix.StatObject(string(m.object))
	if err == nil && now.Dev == mine.Dev && now.Ino == mine.Ino {
		err = posix.UnlinkObject(string(m.object))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return m.object.explain(err)
}
