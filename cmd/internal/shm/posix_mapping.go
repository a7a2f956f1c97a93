package shm

import "github.com/sysvipc/gipc/posix"

// A posixMapping is a mapped POSIX object.
type posixMapping struct {
	*posix.Mapping
	object POSIXObject
}

func (m posixMapping) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.Mapping.ReadAt(p, off)
	return n, m.object.explain(err)
}

func (m posixMapping) WriteAt(p []byte, off int64) (int, error) {
	n, err := m.Mapping.WriteAt(p, off)
	return n, m.object.explain(err)
}

func (m posixMapping) Detach() error { return m.Unmap() }
