package inventory

import "github.com/sysvipc/gipc/cmd/internal/ref"

// LosesEvidence returns the process that would no longer be known to need a segment if
// somebody attached it, nil if there is none: the kernel keeps the last user alone, and
// neither the maker, nor an owner of the segment that lives, speaks for it.
func (o *Object) LosesEvidence() *Process {
	if o.Kind != ref.Shm || o.Segment.NAttch > 0 || o.Use == nil {
		return nil
	}
	perm := o.Perm()
	var last *Process
	for i := range o.Use.Actors {
		switch a := &o.Use.Actors[i]; {
		case a.State != Alive:
		case a.Role == Creator:
			return nil
		case !a.XServer && a.Process.UID != perm.UID && a.Process.UID != perm.CUID:
			last = a.Process
		}
	}
	return last
}
