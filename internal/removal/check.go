package removal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// fresh is how old the knowledge may be of who waits on a queue.
const fresh = time.Second

// settled is for how long a selected object must have been left as it is. The kernel
// counts times in seconds, so these are one at least.
const settled = 2 * time.Second

// settle waits, though not for longer than that in all, until the object as it was
// when it was selected has settled.
func (r *remover) settle(o *inventory.Object) {
	last := o.Changed()
	if o.Used().After(last) {
		last = o.Used()
	}
	time.Sleep(min(time.Until(last.Add(r.settled)), time.Until(r.began.Add(r.settled))))
}

// check looks at the object and returns a *Skipped if it is not what was chosen. What
// costs least comes last: the less time passes behind it the better. ours says that
// this process may have attached a segment in between.
func (r *remover) check(t *Target, ours bool) error {
	if t.selected {
		why, err := r.waiters(t)
		if err != nil {
			return err
		}
		if why == "" {
			why = semaphoresChanged(t)
		}
		if why != "" {
			return &Skipped{*t, why}
		}
	}
	now, err := look(t.Kind, t.ID)
	switch {
	case t.selected && errors.Is(err, fs.ErrNotExist):
		return &Skipped{*t, isGone}
	case err != nil:
		return err
	}
	why := replaced(t.Object, &now)
	if why == "" && t.selected {
		why = changed(t.Object, &now, ours)
	}
	if why != "" {
		return &Skipped{*t, why}
	}
	return nil
}

// look returns the object that has an identifier now.
func look(kind sysv.Kind, id int) (inventory.Object, error) {
	o := inventory.Object{Kind: kind}
	switch kind {
	case sysv.Shm:
		i, err := sysvipc.FindSegment(id)
		o.Segment = &i
		return o, err
	case sysv.Sem:
		i, err := sysvipc.FindSet(id)
		o.Set = &i
		return o, err
	default:
		i, err := sysvipc.FindQueue(id)
		o.Queue = &i
		return o, err
	}
}

// waiters tells whether more threads wait on a queue than when it was selected,
// provided that this was looked up then.
func (r *remover) waiters(t *Target) (why string, err error) {
	if t.Kind != sysv.Msg || t.want&(inventory.WantWaiting|inventory.WantVerdict) == 0 {
		return "", nil
	}
	if r.waiting == nil || time.Since(r.scanned) > fresh {
		if err := r.scan(); err != nil {
			return "", err
		}
	}
	switch {
	case r.waiting[t.ID] > len(t.Object.Use.Waiting):
		return "somebody waits on it now", nil
	case r.hidden != t.hidden && t.hidden == inventory.Hidden{}:
		return "somebody may wait on it now who may not be looked into", nil
	}
	return "", nil
}

// scan finds out who waits on queues.
func (r *remover) scan() error {
	inv, err := inventory.Collect(inventory.Options{Kinds: []sysv.Kind{sysv.Msg}, Want: inventory.WantWaiting})
	if err != nil {
		return err
	}
	r.scanned, r.hidden = time.Now(), inv.Hidden
	r.waiting = make(map[int]int)
	for i := range inv.Objects {
		r.waiting[inv.Objects[i].ID()] = len(inv.Objects[i].Use.Waiting)
	}
	return nil
}

// semaphoresChanged compares the semaphores of a set, if they were looked up.
func semaphoresChanged(t *Target) (why string) {
	if t.Kind != sysv.Sem || t.Object.Use == nil || t.Object.Use.Semaphores == nil {
		return ""
	}
	then := t.Object.Use.Semaphores
	now, err := sysvipc.Semaphores(t.ID, len(then))
	if err != nil { // the set is another one, is gone, or may not be read any more; the look at it will tell
		return ""
	}
	same := func(a inventory.Semaphore, b sysvipc.Semaphore) bool {
		return a == inventory.Semaphore{Value: b.Value, PID: b.PID, NCount: b.NCount, ZCount: b.ZCount}
	}
	if slices.EqualFunc(then, now, same) {
		return ""
	}
	for i := range now {
		if now[i].NCount > then[i].NCount || now[i].ZCount > then[i].ZCount {
			return "somebody waits on it now"
		}
	}
	return wasUsed
}

const (
	isGone     = "it is gone already"
	wasUsed    = "it was used since it was selected"
	wasChanged = "it was changed, or made anew, since it was selected"
)

// replaced tells whether another object has the identifier now, as far as what
// never changes of an object tells. The key goes when a segment is marked for removal.
func replaced(then, now *inventory.Object) (why string) {
	p, q := then.Perm(), now.Perm()
	same := p.CUID == q.CUID && p.CGID == q.CGID && (p.Key == q.Key || q.Key == sysv.Private)
	switch then.Kind {
	case sysv.Shm:
		same = same && then.Segment.CPID == now.Segment.CPID && then.Segment.Size == now.Segment.Size
	case sysv.Sem:
		same = same && then.Set.NSems == now.Set.NSems
	}
	if same {
		return ""
	}
	return fmt.Sprintf("another %s has its identifier now", then.Kind.Noun())
}

// changed tells whether anything at all has changed of an object. ours says that this
// process may have attached the segment.
func changed(then, now *inventory.Object, ours bool) (why string) {
	switch then.Kind {
	case sysv.Shm:
		return segmentChanged(*then.Segment, *now.Segment, ours)
	case sysv.Sem:
		a, b := *then.Set, *now.Set
		return inWords(a == b, a.OTime.Equal(b.OTime))
	default:
		a, b := *then.Queue, *now.Queue
		use := func(q sysv.QueueInfo) sysv.QueueInfo {
			return sysv.QueueInfo{CBytes: q.CBytes, QNum: q.QNum, LSPID: q.LSPID, LRPID: q.LRPID, STime: q.STime, RTime: q.RTime}
		}
		return inWords(a == b, use(a) == use(b))
	}
}

func segmentChanged(then, now sysv.SegmentInfo, ours bool) (why string) {
	if ours && now.LPID == os.Getpid() {
		then.LPID, then.ATime, then.DTime = now.LPID, now.ATime, now.DTime
	}
	switch {
	case now.Dest && !then.Dest:
		return "it is marked for removal already"
	case now.NAttch > then.NAttch:
		return "somebody has attached it"
	}
	use := func(s sysv.SegmentInfo) sysv.SegmentInfo {
		return sysv.SegmentInfo{NAttch: s.NAttch, LPID: s.LPID, ATime: s.ATime, DTime: s.DTime}
	}
	return inWords(then == now, use(then) == use(now))
}

// inWords says how an object is not the same.
func inWords(same, sameUse bool) (why string) {
	switch {
	case same:
		return ""
	case sameUse:
		return wasChanged
	default:
		return wasUsed
	}
}
