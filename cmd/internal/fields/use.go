package fields

import (
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
)

// Fields returns what a selection can ask for: all columns, and conditions that
// are short for what columns tell.
func Fields() List {
	shm := []ref.Kind{ref.Shm}
	return append(All(),
		Column{Name: "dest", About: "goes with its last attachment", Type: Condition, kinds: shm, value: func(r *Row) value { return condition(r.Segment.Dest) }},
		Column{Name: "removed", About: "removed already; goes with its last user", Type: Condition, kinds: []ref.Kind{ref.Shm, ref.PShm}, value: func(r *Row) value { return condition(r.Removed()) }},
		Column{Name: "locked", About: "not swapped out", Type: Condition, kinds: shm, value: func(r *Row) value { return condition(r.Segment.Locked) }},
		Column{Name: "orphan", About: "the verdict is orphan", Type: Condition, Want: inventory.WantVerdict, value: func(r *Row) value { return r.judged(inventory.Orphan) }},
		Column{Name: "in_use", About: "the verdict is in use", Type: Condition, Want: inventory.WantVerdict, value: func(r *Row) value { return r.judged(inventory.InUse) }},
		Column{Name: "owner_gone", About: "its owner has no process left, and it holds no message", Type: Condition, Want: inventory.WantOwner, value: ownerGone},
		Column{Name: "unused", About: "no process uses it or is known to hold it; no message", Type: Condition, Want: inventory.WantWaiting | inventory.WantOpen | inventory.WantActors, value: unused},
	)
}

func (r *Row) verdict() inventory.Verdict {
	if r.Use == nil {
		return inventory.Unknown
	}
	return r.Use.Verdict
}

// judged tells whether the verdict is v. That is not known where the verdict is
// Unknown: neither it nor its contrary may select an object.
func (r *Row) judged(v inventory.Verdict) value {
	if r.verdict() == inventory.Unknown || v == inventory.Orphan && r.keepsMessages() {
		return value{}
	}
	return condition(r.verdict() == v)
}

// keepsMessages reports whether the object is a queue with messages that count.
func (r *Row) keepsMessages() bool { return r.HoldsMessages() && !r.Inventory.WithMessages }

func reasons(r *Row) value {
	return ofReasons(r, func(reason inventory.Reason) string { return reason.Text })
}

func codes(r *Row) value {
	return ofReasons(r, func(reason inventory.Reason) string { return string(reason.Code) })
}

func ofReasons(r *Row, text func(inventory.Reason) string) value {
	if r.Use == nil {
		return value{}
	}
	list := make([]string, len(r.Use.Reasons))
	for i, reason := range r.Use.Reasons {
		list[i] = text(reason)
	}
	return texts(list)
}

// attached is not known where not all attachments were found. Of a POSIX object
// nobody counts them: there, all processes must have been looked at.
func attached(r *Row) value {
	switch {
	case r.Use == nil || r.Use.HiddenAttachments > 0:
		return value{}
	case r.Kind.POSIX():
		return users(r, len(r.Use.Mapped))
	default:
		return number(uint64(len(r.Use.Attached)))
	}
}

func opened(r *Row) value {
	if r.Use == nil {
		return value{}
	}
	return users(r, len(r.Use.Open))
}

// users is how many use an object where the kernel does not count them, unless there
// may be more.
func users(r *Row, n int) value {
	if r.Inventory.MayMiss(r.Object) {
		return value{}
	}
	return number(uint64(n))
}

// waiting goes by the kernel's count for a set that may be read, and by that of a POSIX
// semaphore, which counts those that were killed for ever. The kernel keeps none for
// queues: there, all who could wait must have been looked at.
func waiting(r *Row) value {
	switch {
	case r.Kind == ref.PSem:
		return semaphore(func(i *posix.SemaphoreInfo) int { return i.Waiters })(r)
	case r.Use == nil:
		return value{}
	case r.Kind == ref.Sem:
		if r.Use.Semaphores == nil {
			return value{}
		}
		n := 0
		for _, s := range r.Use.Semaphores {
			n += s.NCount + s.ZCount
		}
		return number(uint64(n))
	default:
		return users(r, len(r.Use.Waiting))
	}
}

// unused is false for what a process may hold between two uses: the one that made it or
// used it last, if it is alive. A semaphore may be a lock that it has taken.
func unused(r *Row) value {
	free := r.free()
	switch {
	case r.keepsMessages() || free.known && free.num == 0 || r.hasActor(inventory.Alive):
		return condition(false)
	case !free.known || r.hasActor(inventory.Unseen) && !r.Inventory.HiddenIdle:
		return value{}
	default:
		return condition(true)
	}
}

// free is the condition that nobody is attached, waits, maps the object or has it open.
func (r *Row) free() value {
	switch {
	case r.Kind == ref.Shm:
		return condition(r.Segment.NAttch == 0)
	case r.Use == nil:
		return value{}
	case len(r.Use.Waiting)+len(r.Use.Mapped)+len(r.Use.Open) > 0:
		return condition(false)
	case r.Kind == ref.PMsg && !r.PMsg.Known:
		return value{}
	case r.Kind == ref.PSem && r.PSem.Waiters > 0 && !r.Inventory.SawAll(r.Object):
		return condition(false) // all waiters map it: with nobody hidden they were killed
	case r.Kind.POSIX():
		return condition(true).unless(r.Inventory.MayMiss(r.Object))
	default:
		n := waiting(r)
		return condition(n.num == 0).unless(!n.known)
	}
}

// hasActor reports whether a process that made the object or used it last is in a state.
func (r *Row) hasActor(state inventory.State) bool {
	return r.Use != nil && slices.ContainsFunc(r.Use.Actors, func(a inventory.Actor) bool { return a.State == state })
}

func ownerGone(r *Row) value {
	switch {
	case r.Use == nil || r.Use.OwnerGone == inventory.NotKnown:
		return value{}
	case r.keepsMessages():
		return condition(false)
	default:
		return condition(r.Use.OwnerGone == inventory.Yes)
	}
}

// processes returns those that use the object as far as they are known, each once, in
// ascending order.
func processes(r *Row) (list []*inventory.Process) {
	if r.Use == nil {
		return nil
	}
	for _, a := range r.Use.Attached {
		list = append(list, a.Process)
	}
	for _, m := range r.Use.Mapped {
		list = append(list, m.Process)
	}
	for _, o := range r.Use.Open {
		list = append(list, o.Process)
	}
	for _, w := range r.Use.Waiting {
		list = append(list, w.Process)
	}
	return unique(list)
}

func unique(list []*inventory.Process) []*inventory.Process {
	slices.SortFunc(list, func(a, b *inventory.Process) int { return a.PID - b.PID })
	return slices.CompactFunc(list, func(a, b *inventory.Process) bool { return a.PID == b.PID })
}

// pids shows those that were found, but is known only if there can be no others.
func pids(r *Row) value {
	if r.Use == nil {
		return value{}
	}
	list := []int64{}
	for _, p := range processes(r) {
		list = append(list, int64(p.PID))
	}
	missed := r.Use.HiddenAttachments > 0 || r.Use.HiddenWaiters > 0 || r.Inventory.MayMiss(r.Object) ||
		r.Kind == ref.Sem && r.Use.Semaphores == nil
	found := numbers(list)
	return value{cell: found.cell, num: found.num, items: found.items, known: !missed}
}

func program(r *Row) value {
	if r.Use == nil || r.Use.Program == nil {
		return value{}
	}
	return words(r.Use.Program.Name)
}

// container names the containers of all who use the object, or made or used it last
// and are alive.
func container(r *Row) value {
	if r.Use == nil {
		return value{}
	}
	list := processes(r)
	for i := range r.Use.Actors {
		if a := &r.Use.Actors[i]; a.State == inventory.Alive {
			list = append(list, a.Process)
		}
	}
	var names []string
	for _, p := range unique(list) {
		if name := containerName(p.Container); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return value{}
	}
	return words(strings.Join(names, ","))
}

func containerName(c procfs.Container) string {
	if c.Runtime != "" && c.ID != "" {
		return c.Runtime + ":" + c.ID
	}
	return c.ID
}

// idle goes by the last change as well: what was made a moment ago is not idle for
// ever because nobody has used it yet.
func idle(r *Row) value {
	last := r.Used()
	if r.Changed().After(last) {
		last = r.Changed()
	}
	switch {
	case r.Kind == ref.Shm && r.Segment.NAttch > 0:
		return span(0)
	case last.IsZero():
		return value{}
	default:
		return span(r.Inventory.Taken.Sub(last))
	}
}
