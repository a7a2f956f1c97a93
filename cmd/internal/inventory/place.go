package inventory

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A Place is what a process sees of IPC objects: an IPC namespace, and the /dev/shm of
// its mount namespace.
type Place struct {
	Namespace
	// PID is the process whose /dev/shm it is; 0 if it is the caller's, or none is known.
	PID int
	// Kinds are the kinds of objects to look at there. Several places may have an IPC
	// namespace, or a /dev/shm, in common; Places gives its objects to one of them.
	Kinds []ref.Kind

	shm error // why the /dev/shm can't be seen, as far as that is known
}

// Process returns a process that sees the place, 0 if none is known.
func (p *Place) Process() int {
	if p.PID != 0 || len(p.PIDs) == 0 {
		return p.PID
	}
	return p.PIDs[0]
}

// A Sight is what can be seen in a Place.
type Sight struct {
	Kinds   []ref.Kind         // that are to be seen there
	Missing map[ref.Kind]error // those of Kinds that can't be, and why
	// OtherIPC and OtherShm say that the IPC namespace and the /dev/shm are not the
	// caller's.
	OtherIPC, OtherShm bool
}

// Present returns a sight without the kinds that are missing because there are none.
func (s Sight) Present() Sight {
	s.Kinds = slices.DeleteFunc(slices.Clone(s.Kinds), func(k ref.Kind) bool { return errors.Is(s.Missing[k], fs.ErrNotExist) })
	return s
}

func (s *Sight) lack(err error, kinds ...ref.Kind) {
	if err == nil {
		return
	}
	if s.Missing == nil {
		s.Missing = make(map[ref.Kind]error)
	}
	for _, kind := range kinds {
		s.Missing[kind] = err
	}
}

// inFiles are the kinds of objects that are files in /dev/shm.
func inFiles() []ref.Kind { return []ref.Kind{ref.PShm, ref.PSem} }

// ofNamespace are the kinds of objects that belong to an IPC namespace.
func ofNamespace() []ref.Kind { return append(ref.SystemV(), ref.PMsg) }
