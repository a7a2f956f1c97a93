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
		Column{Name: "locked", About: "not swapped out", Type: Condition, kinds: shm, value: func(r *Row) value { return condition(r.Segment.Locked) }},
		Column{Name: "orphan", About: "the verdict is orphan", Type: Condition, Want: inventory.WantVerdict, value: func(r *Row) value { return r.judged(inventory.Orphan) }},
		Column{Name: "in_use", About: "the verdict is in use", Type: Condition, Want: inventory.WantVerdict, value: func(r *Row) value { return r.judged(inventory.InUse) }},
		Column{Name: "unused", About: "nobody is attached, maps it, has it open or waits, and no message is held", Type: Condition, Want: inventory.WantWaiting | inventory.WantOpen, value: unused},
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
	if r.verdict() == inventory.Unknown {
		return value{}
	}
	return condition(r.verdict() == v)
}

func reasons(r *Row) value {
	if r.Use == nil {
		return value{}
	}
	list := make([]string, len(r.Use.Reasons))
	for i, reason := range r.Use.Reasons {
		list[i] = reason.Text
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

// users is how many use a POSIX object, unless there may be more.
func users(r *Row, n int) value {
	if r.Inventory.Hidden.Whole() {
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
	case r.Inventory.Hidden.Any():
		return value{}
	default:
		return number(uint64(len(r.Use.Waiting)))
	}
}

func unused(r *Row) value {
	switch r.Kind {
	case ref.Shm:
		return condition(r.Segment.NAttch == 0)
	case ref.Sem:
		return nobodyWaits(r)
	case ref.Msg:
		if r.Queue.QNum > 0 || r.Use != nil && len(r.Use.Waiting) > 0 {
			return condition(false)
		}
		return nobodyWaits(r)
	default:
		return unusedFile(r)
	}
}

func nobodyWaits(r *Row) value {
	w := waiting(r)
	if !w.known {
		return value{}
	}
	return condition(w.num == 0)
}

// unusedFile goes by what was found: that nobody uses a POSIX object is known only if
// nobody could be missed.
func unusedFile(r *Row) value {
	held := r.Kind == ref.PMsg && r.PMsg.Known && r.PMsg.CurMsgs > 0
	switch {
	case held || r.Use != nil && len(r.Use.Mapped)+len(r.Use.Open) > 0:
		return condition(false)
	case r.Use == nil || r.Inventory.Hidden.Whole() || r.Kind == ref.PMsg && !r.PMsg.Known:
		return value{}
	default:
		return condition(true)
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

func pids(r *Row) value {
	if r.Use == nil {
		return value{}
	}
	list := []int64{}
	for _, p := range processes(r) {
		list = append(list, int64(p.PID))
	}
	return numbers(list)
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
