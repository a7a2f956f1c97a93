// Package removal removes objects in two steps. A Plan is made first: a value that
// can be shown, tested and thought over. Carrying it out looks at each object again
// just before, and leaves alone what is no longer what was planned: identifiers are
// used again.
package removal

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// ErrChanged is returned for an object that is not what the plan says any more.
var ErrChanged = errors.New("is not the object any more that was to be removed; it was left alone")

// identity is what never changes of an object, and so tells it from another one
// with the same identifier.
type identity struct {
	cuid, cgid uint32
	cpid       int   // of a segment
	size       int64 // bytes of a segment, semaphores of a set
}

// A Target is an object that is to be removed.
type Target struct {
	Kind sysv.Kind
	ID   int
	Key  sysv.Key
	identity
}

// String returns the target as a REF with its kind.
func (t Target) String() string { return fmt.Sprintf("%v:%d", t.Kind, t.ID) }

// A Plan is what is to be removed, in this order.
type Plan []Target

// Find returns the target that a REF names. It needs no permission.
func Find(kind sysv.Kind, r ref.Ref) (Target, error) {
	id, err := identifier(kind, r)
	if err != nil {
		return Target{}, err
	}
	return look(kind, id)
}

func identifier(kind sysv.Kind, r ref.Ref) (int, error) {
	switch kind {
	case sysv.Shm:
		s, err := r.Segment()
		return int(s), err
	case sysv.Sem:
		s, err := r.Set()
		return int(s), err
	default:
		q, err := r.Queue()
		return int(q), err
	}
}

// look returns the object that has an identifier now.
func look(kind sysv.Kind, id int) (Target, error) {
	switch kind {
	case sysv.Shm:
		i, err := sysvipc.FindSegment(id)
		return Target{kind, id, i.Key, identity{i.CUID, i.CGID, i.CPID, i.Size}}, err
	case sysv.Sem:
		i, err := sysvipc.FindSet(id)
		return Target{kind, id, i.Key, identity{cuid: i.CUID, cgid: i.CGID, size: int64(i.NSems)}}, err
	default:
		i, err := sysvipc.FindQueue(id)
		return Target{kind, id, i.Key, identity{cuid: i.CUID, cgid: i.CGID}}, err
	}
}

// Remove removes the target if it still is what it was. A segment that is marked
// for removal already is removed.
func (t Target) Remove() error {
	now, err := look(t.Kind, t.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%v is gone already: %w", t, fs.ErrNotExist)
	case err != nil:
		return err
	case now.identity != t.identity || now.Key != t.Key && now.Key != sysv.Private:
		return fmt.Errorf("%v %w", t, ErrChanged)
	}
	switch t.Kind {
	case sysv.Shm:
		return sysv.Segment(t.ID).Remove()
	case sysv.Sem:
		return sysv.Set(t.ID).Remove()
	default:
		return sysv.Queue(t.ID).Remove()
	}
}
