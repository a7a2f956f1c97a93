package inventory

import "github.com/sysvipc/gipc/cmd/internal/ref"

// LosesEvidence returns the process that would no longer be known to need a segment if
// another process attached it, or nil if there is none. The kernel records only the last
// user, so this matters if neither the creator nor a living owner shows that the segment
// is needed.
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
