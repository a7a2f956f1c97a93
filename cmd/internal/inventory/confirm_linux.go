package inventory

import (
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// confirm looks once more at every object of System V that would be an orphan, if it was
// used of late. One that was used since it was listed has a user who was not asked for: a
// worker, say, that took the place of another one while this one's end was noted.
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

// unchanged reports whether an object is as it was listed. That one can't be looked at
// any more, or is gone, is no change.
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

// sameSemaphores compares who used the semaphores last, and who waits: the kernel notes
// the time to the second only.
func sameSemaphores(o *Object) bool {
	now, err := sysvipc.Semaphores(o.ID(), o.Set.NSems)
	return err != nil || slices.Equal(now, o.Use.Semaphores)
}
