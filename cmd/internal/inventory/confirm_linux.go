package inventory

import (
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// confirm checks again every System V object that would be an orphan and was used recently.
// If it was used since it was listed, it has a user that was not considered, such as a
// worker that replaced another one just as that one was found to have ended.
func (c *collector) confirm() {
	const late = 10 * time.Second
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		if o.Use.Verdict != Orphan || o.Kind.POSIX() || c.inv.Taken.Sub(latest(o.Used(), o.Changed())) > late || unchanged(o) {
			continue
		}
		o.Use.Verdict = Unknown
		o.Use.add(UsedMeanwhile, "it was used or changed while processes were looked at")
	}
}

// unchanged reports whether an object is as it was listed. An object that is gone or
// cannot be read any more counts as unchanged.
func unchanged(o *Object) bool {
	switch o.Kind {
	case ref.Shm:
		now, err := sysvipc.FindSegment(o.ID())
		return err != nil || sameUse(o, &Object{Kind: o.Kind, Segment: &now}) &&
			now.NAttch == o.Segment.NAttch && now.LPID == o.Segment.LPID
	case ref.Msg:
		now, err := sysvipc.FindQueue(o.ID())
		return err != nil || sameUse(o, &Object{Kind: o.Kind, Queue: &now}) &&
			now.QNum == o.Queue.QNum && now.LSPID == o.Queue.LSPID && now.LRPID == o.Queue.LRPID
	default:
		now, err := sysvipc.FindSet(o.ID())
		return err != nil || sameUse(o, &Object{Kind: o.Kind, Set: &now}) && sameSemaphores(o)
	}
}

func sameUse(a, b *Object) bool {
	return a.Used().Equal(b.Used()) && a.Changed().Equal(b.Changed())
}

// sameSemaphores compares the last users of the semaphores and their waiters, because the
// kernel records times only to the second.
func sameSemaphores(o *Object) bool {
	now, err := sysvipc.Semaphores(o.ID(), o.Set.NSems)
	return err != nil || slices.Equal(now, o.Use.Semaphores)
}
