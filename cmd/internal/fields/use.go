package fields

import (
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/posix"
)

// Fields returns the fields that a selection can use: all columns, and conditions that
// abbreviate tests on columns.
func Fields() List {
	shm := []ref.Kind{ref.Shm}
	return append(All(),
		Column{Name: "dest", About: "destroyed at its last detach", Type: Condition, kinds: shm, value: func(r *Row) value { return condition(r.Segment.Dest) }},
		Column{Name: "removed", About: "already removed; destroyed with its last user", Type: Condition, kinds: []ref.Kind{ref.Shm, ref.PShm}, value: func(r *Row) value { return condition(r.Removed()) }},
		Column{Name: "locked", About: "not swapped out", Type: Condition, kinds: shm, value: func(r *Row) value { return condition(r.Segment.Locked) }},
		Column{Name: "orphan", About: "the verdict is orphan", Type: Condition, Want: inventory.WantVerdict, value: func(r *Row) value { return r.judged(inventory.Orphan) }},
		Column{Name: "in_use", About: "the verdict is in use", Type: Condition, Want: inventory.WantVerdict, value: func(r *Row) value { return r.judged(inventory.InUse) }},
		Column{Name: "owner_gone", About: "its owner has no process, and it holds no message", Type: Condition, Want: inventory.WantOwner, value: ownerGone},
		Column{Name: "unused", About: "no process uses or is known to hold it, and it has no message", Type: Condition, Want: inventory.WantWaiting | inventory.WantOpen | inventory.WantActors, value: unused},
	)
}

func (r *Row) verdict() inventory.Verdict {
	if r.Use == nil {
		return inventory.Unknown
	}
	return r.Use.Verdict
}

func verdict(r *Row) value { return verdictNamed(r.verdict().String()) }

// judged reports whether the verdict is v. If the verdict is Unknown the result is
// unknown, so that neither the condition nor its negation selects the object.
func (r *Row) judged(v inventory.Verdict) value {
	if r.verdict() == inventory.Unknown || v == inventory.Orphan && r.keepsMessages() {
		return value{}
	}
	return condition(r.verdict() == v)
}

// keepsMessages reports whether the object is a queue whose messages count as use.
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

// attached is unknown if some attachments were not found. The kernel counts no mappings
// of POSIX objects, so for them every process must have been inspected.
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

// users returns the number of users of an object for which the kernel keeps no count,
// unknown if some may have been missed.
func users(r *Row, n int) value {
	if r.Inventory.MayMiss(r.Object) {
		return value{}
	}
	return number(uint64(n))
}

// waiting is the kernel's count for a set that the caller may read. A POSIX semaphore
// has its own count, which keeps counting killed waiters. Queues have none, so every
// process that could wait must have been inspected.
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

// unused is false if the process that made the object or used it last is alive, since
// it may hold the object between two uses: a semaphore may be a lock that it has taken.
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
		return condition(false) // waiters map the semaphore; with no process hidden, they were killed
	case r.Kind.POSIX():
		return condition(true).unless(r.Inventory.MayMiss(r.Object))
	default:
		n := waiting(r)
		return condition(n.num == 0).unless(!n.known)
	}
}

// hasActor reports whether the object's creator or last user is in the given state.
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

// processes returns the known users of the object, each once, in ascending order.
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

// pids shows the users found, but is unknown if there may be others.
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

// at names where the users of the object run, and its creator and last user if they are
// alive.
func at(name func(procfs.Container) string) func(*Row) value {
	return func(r *Row) value {
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
			if n := name(p.Container); n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if len(names) == 0 {
			return value{}
		}
		return words(strings.Join(names, ","))
	}
}

func container(r *Row) value {
	v := at(procfs.Container.Name)(r)
	if v.known {
		v.cell = render.Container(v.text)
	}
	return v
}

// idle counts from the last use or change: an object that was just made and never used
// is not idle forever.
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
