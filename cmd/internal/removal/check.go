package removal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// fresh is how old collected data may be.
const fresh = time.Second

// settled is how long a selected object must have been left unchanged. The kernel's
// timestamps are whole seconds, so this is at least one second.
const settled = 2 * time.Second

// settle waits until the selected object has settled, but not beyond that time after the
// removals began.
func (r *remover) settle(o *inventory.Object) error {
	last := o.Changed()
	if o.Used().After(last) {
		last = o.Used()
	}
	wait := time.NewTimer(min(time.Until(last.Add(r.settled)), time.Until(r.began.Add(r.settled))))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// check inspects the object and returns a *Skipped if it is not what was chosen. The
// cheapest test comes last, so that little time passes between it and the removal.
func (r *remover) check(t *Target) error {
	if t.selected {
		why, err := r.usedNow(t)
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
	now, err := inventory.Look(t.Ref())
	switch {
	case t.selected && errors.Is(err, fs.ErrNotExist):
		return &Skipped{*t, isGone}
	case err != nil:
		return err
	}
	why := replaced(t.Object, &now)
	if why == "" && t.selected {
		why = changed(t.Object, &now)
	}
	if why != "" {
		return &Skipped{*t, why}
	}
	return nil
}

// judged is what must be collected for verdicts.
const judged = inventory.WantVerdict | inventory.WantOwner

// needsScan reports whether the target's selection rested on data that requires an
// inspection of all processes.
func (t *Target) needsScan() bool {
	const files = inventory.WantOpen | inventory.WantProgram
	switch {
	case !t.selected:
		return false
	case t.want&judged != 0:
		return true
	case t.Kind.POSIX():
		return t.want&files != 0
	default:
		return t.Kind == ref.Msg && t.want&inventory.WantWaiting != 0
	}
}

// usedNow returns why the target may be needed now though it was not when it was selected.
// It considers only what was collected for the selection.
func (r *remover) usedNow(t *Target) (why string, err error) {
	if !t.needsScan() {
		return "", nil
	}
	if t.Kind.POSIX() && users(t.Object.Use) == 0 {
		is, known := inventory.Opened(t.Ref())
		switch {
		case is:
			return "a process uses it now", nil
		case known && t.want&judged == 0:
			return "", nil
		}
	}
	if r.now == nil || time.Since(r.now.when) > max(fresh, shareOfTime*r.now.took) {
		if err := r.scan(); err != nil {
			return "", err
		}
	}
	return r.now.needs(t), nil
}

func users(u *inventory.Use) int { return len(u.Waiting) + len(u.Mapped) + len(u.Open) }

// shareOfTime limits the time spent on scans: after one, the next waits this many times
// as long.
const shareOfTime = 5

// A latest is the result of the latest scan.
type latest struct {
	when    time.Time
	took    time.Duration
	hidden  inventory.Hidden
	objects map[ref.Object]*inventory.Use
}

func (r *remover) scan() error {
	began := time.Now()
	inv, err := r.Again()
	if err != nil {
		return err
	}
	r.now = &latest{when: time.Now(), took: time.Since(began), hidden: inv.Hidden, objects: make(map[ref.Object]*inventory.Use)}
	for i := range inv.Objects {
		o := &inv.Objects[i]
		r.now.objects[o.Ref()] = o.Use
	}
	return nil
}

// needs returns a reason why the target may be needed now.
func (l *latest) needs(t *Target) (why string) {
	then, now := t.Object.Use, l.objects[t.Ref()]
	if now == nil { // it is gone, which look will report
		return ""
	}
	does, may := "waits on", "wait on"
	if t.Kind.POSIX() {
		does, may = "uses", "use"
	}
	switch {
	case users(now) > users(then):
		return "a process " + does + " it now"
	case t.want&judged != 0 && now.Verdict != then.Verdict:
		return otherVerdict(then, now)
	case t.want&inventory.WantOwner != 0 && now.OwnerGone != then.OwnerGone:
		return "its owner has a process now"
	case t.want&judged == 0 && l.hidden.Any() && !t.hidden.Any():
		return "a process that cannot be inspected may " + may + " it now"
	default:
		return ""
	}
}

// otherVerdict returns a sentence with the new verdict and its first new reason.
func otherVerdict(then, now *inventory.Use) string {
	for _, r := range now.Reasons {
		if !slices.ContainsFunc(then.Reasons, func(old inventory.Reason) bool { return old.Code == r.Code }) {
			return fmt.Sprintf("its verdict is %q now, not %q: %s", now.Verdict, then.Verdict, r.Text)
		}
	}
	return fmt.Sprintf("its verdict is %q now, not %q", now.Verdict, then.Verdict)
}

// semaphoresChanged compares the semaphores of a set, if they were collected.
func semaphoresChanged(t *Target) (why string) {
	if t.Kind != ref.Sem || t.Object.Use == nil || t.Object.Use.Semaphores == nil {
		return ""
	}
	then := t.Object.Use.Semaphores
	now, err := sysvipc.Semaphores(t.ID, len(then))
	if err != nil { // the set was replaced, removed or made unreadable, which look will report
		return ""
	}
	if slices.Equal(then, now) {
		return ""
	}
	for i := range now {
		if now[i].NCount > then[i].NCount || now[i].ZCount > then[i].ZCount {
			return "a process waits on it now"
		}
	}
	return wasUsed
}

const (
	isGone     = "it is already gone"
	wasUsed    = "it was used since it was selected"
	wasChanged = "it was changed or recreated since it was selected"
)

// replaced reports whether another object now has the identifier or name, judged by
// attributes that never change. (A segment's key does: marking it for removal clears
// it.)
func replaced(then, now *inventory.Object) (why string) {
	if then.Kind.POSIX() {
		a, b := then.File(), now.File()
		if a.Dev == b.Dev && a.Ino == b.Ino {
			return ""
		}
		return fmt.Sprintf("another %s has its name now", then.Kind.Noun())
	}
	p, q := then.Perm(), now.Perm()
	same := p.CUID == q.CUID && p.CGID == q.CGID && (p.Key == q.Key || q.Key == sysv.Private)
	switch then.Kind {
	case ref.Shm:
		same = same && then.Segment.CPID == now.Segment.CPID && then.Segment.Size == now.Segment.Size
	case ref.Sem:
		same = same && then.Set.NSems == now.Set.NSems
	}
	if same {
		return ""
	}
	return fmt.Sprintf("another %s has its identifier now", then.Kind.Noun())
}

// changed returns how the object has changed in any respect.
func changed(then, now *inventory.Object) (why string) {
	switch then.Kind {
	case ref.Shm:
		return segmentChanged(*then.Segment, *now.Segment)
	case ref.Sem:
		a, b := *then.Set, *now.Set
		a.Seq = b.Seq // see segmentChanged
		return inWords(a == b, a.OTime.Equal(b.OTime))
	case ref.Msg:
		a, b := *then.Queue, *now.Queue
		a.Seq = b.Seq
		if a.QBytes == sysvipc.UnknownQBytes || b.QBytes == sysvipc.UnknownQBytes {
			a.QBytes = b.QBytes
		}
		use := func(q sysv.QueueInfo) sysv.QueueInfo {
			return sysv.QueueInfo{CBytes: q.CBytes, QNum: q.QNum, LSPID: q.LSPID, LRPID: q.LRPID, STime: q.STime, RTime: q.RTime}
		}
		return inWords(a == b, use(a) == use(b))
	default:
		return fileChanged(then, now)
	}
}

// fileChanged ignores the times that inspecting an object changes.
func fileChanged(then, now *inventory.Object) (why string) {
	switch then.Kind {
	case ref.PShm:
		a, b := *then.PShm, *now.PShm
		return inWords(a == b, a.ATime.Equal(b.ATime) && a.MTime.Equal(b.MTime) && a.Memory == b.Memory)
	case ref.PSem:
		a, b := *then.PSem, *now.PSem
		a.ATime = b.ATime
		return inWords(a == b, a.Value == b.Value && a.Waiters == b.Waiters)
	default:
		a, b := *then.PMsg, *now.PMsg
		a.ATime, a.CTime = b.ATime, b.CTime
		// The times are whole seconds.
		return inWords(a == b, a.MTime.Equal(b.MTime) && a.CurMsgs == b.CurMsgs && a.NotifyPID == b.NotifyPID)
	}
}

func segmentChanged(then, now sysv.SegmentInfo) (why string) {
	// Seq is part of the identifier, and unknown if the segment was read from /proc.
	then.Seq = now.Seq
	switch {
	case now.Dest && !then.Dest:
		return "it is already marked for removal"
	case now.NAttch > then.NAttch:
		return "a process has attached it"
	}
	use := func(s sysv.SegmentInfo) sysv.SegmentInfo {
		return sysv.SegmentInfo{NAttch: s.NAttch, LPID: s.LPID, ATime: s.ATime, DTime: s.DTime}
	}
	return inWords(then == now, use(then) == use(now))
}

// inWords describes a change.
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
