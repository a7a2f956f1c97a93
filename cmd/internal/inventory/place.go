package inventory

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A Place is where a process sees IPC objects: its IPC namespace, and the /dev/shm of its
// mount namespace.
type Place struct {
	Namespace
	// PID is the process whose /dev/shm it is. 0 means the caller's.
	PID int
	// Kinds are the kinds of objects to look at; see Places.
	Kinds []ref.Kind

	shm error // why the /dev/shm cannot be seen, if Places found out
}

// Process returns a process of the place, or 0 if none is known.
func (p *Place) Process() int {
	if p.PID != 0 || len(p.PIDs) == 0 {
		return p.PID
	}
	return p.PIDs[0]
}

// A Sight describes what is visible in a Place.
type Sight struct {
	Kinds   []ref.Kind         // the kinds to look at
	Missing map[ref.Kind]error // why kinds cannot be seen
	// OtherIPC and OtherShm are set if the IPC namespace or the /dev/shm is not the
	// caller's.
	OtherIPC, OtherShm bool
}

// Present returns the sight without the kinds that do not exist there.
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

// inFiles returns the kinds of objects that are files in /dev/shm.
func inFiles() []ref.Kind { return []ref.Kind{ref.PShm, ref.PSem} }

// ofNamespace returns the kinds of objects that belong to an IPC namespace.
func ofNamespace() []ref.Kind { return append(ref.SystemV(), ref.PMsg) }
