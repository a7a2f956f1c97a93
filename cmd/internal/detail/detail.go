// Package detail builds the fields by which gipcs show describes one object: its
// attributes, who is attached, who waits, its contents, whether it is needed, which
// program it belongs to, and the limits that apply.
package detail

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/hexdump"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// Want returns what must be collected to show an object of a kind.
func Want(kind ref.Kind) inventory.Want {
	want := inventory.WantActors | inventory.WantVerdict | inventory.WantProgram | inventory.WantContainers
	switch {
	case kind == ref.Shm:
		return want | inventory.WantMemory | inventory.WantAttached
	case kind.POSIX():
		return want | inventory.WantOpen
	default:
		return want | inventory.WantWaiting
	}
}

// A Subject is an object to show and what is known about it.
type Subject struct {
	Object    *inventory.Object
	Inventory *inventory.Inventory
	Names     *account.Directory
	Limits    []limits.Limit
	Messages  []Message // of a queue; nil if they cannot be read
	Contents  []byte    // the first bytes of memory; nil unless asked for
	RemovedBy []string  // who will remove it automatically, and when
}

// A Record is the fields of an object and their values.
type Record struct {
	Columns []render.Column
	Cells   []render.Cell
}

func (r *Record) add(name string, cell render.Cell) {
	r.Columns = append(r.Columns, render.Column{Name: name})
	r.Cells = append(r.Cells, cell)
}

// New returns the record of a subject.
func New(s Subject) Record {
	var r Record
	use := s.Object.Use
	names := []string{"kind", "id", "key", "name"}
	r.kernel(s, func(column string) bool { return slices.Contains(names, column) })
	r.add("verdict", verdict(use))
	r.add("reasons", texts(reasons(use)))
	r.add("program", program(use.Program))
	r.add("removed_by", texts(s.RemovedBy))
	r.kernel(s, func(column string) bool { return !slices.Contains(names, column) })
	if s.Object.Kind.POSIX() {
		r.file(s)
	} else {
		r.add("processes", actors(use.Actors, s.Names))
	}
	switch s.Object.Kind {
	case ref.Shm:
		r.add("attached", attached(use.Attached, s.Names))
		r.add("hidden_attachments", render.Int(int64(use.HiddenAttachments)))
	case ref.Sem:
		r.add("semaphores", semaphores(use))
		r.add("waiting", setWaiters(use.Waiting, s.Names))
		r.add("hidden_waiters", hiddenWaiters(use))
		r.add("deadlocks", deadlocks(s))
	case ref.Msg:
		r.add("messages_held", messages(s))
		r.add("waiting", queueWaiters(use.Waiting, s.Names))
	}
	if s.Contents != nil {
		r.add("contents", contents(s.Contents))
	}
	r.add("hidden_processes", render.Int(int64(s.Inventory.Hidden.Count())))
	r.add("not_inspected", texts(notInspected(&s.Inventory.Hidden)))
	r.add("limits", limitsOf(s))
	return r
}

// kernel adds the listing's columns that apply to the kind and are wanted.
func (r *Record) kernel(s Subject, wanted func(column string) bool) {
	list := fields.Of(s.Object.Kind)
	alone := &inventory.Inventory{Taken: s.Inventory.Taken, Objects: []inventory.Object{*s.Object}}
	for cells := range list.Rows(alone, s.Names) {
		for i, c := range list.Columns() {
			if wanted(c.Name) {
				r.add(c.Name, cells[i])
			}
		}
	}
}

func verdict(use *inventory.Use) render.Cell {
	if use.Verdict == inventory.Orphan {
		return render.Text(use.Verdict.String()).Warn()
	}
	return render.Text(use.Verdict.String())
}

// hiddenWaiters returns the number of waiters that cannot be inspected, unknown if the
// caller may not read the set's counts.
func hiddenWaiters(use *inventory.Use) render.Cell {
	if use.Semaphores == nil {
		return render.Unknown()
	}
	return render.Int(int64(use.HiddenWaiters))
}

// file adds what is known of a POSIX object beyond the listing's columns.
func (r *Record) file(s Subject) {
	o := s.Object
	switch {
	case o.Kind == ref.PSem && o.PSem.Known:
		r.add("waiters", render.Int(int64(o.PSem.Waiters)))
		r.add("bits", render.Int(int64(o.PSem.Bits)))
	case o.Kind == ref.PSem:
		r.add("waiters", render.Unknown())
		r.add("bits", render.Unknown())
	}
	if o.Kind != ref.PMsg {
		r.add("mapped", mapped(o.Use.Mapped, s.Names))
	}
	r.add("open", opened(o.Use.Open, s.Names))
}

func mapped(list []inventory.Mapper, names *account.Directory) render.Cell {
	rows := make([][]render.Cell, len(list))
	for i, m := range list {
		rows[i] = []render.Cell{
			pid(m.PID), render.Text(m.Comm), render.Text(names.UserOrID(m.UID)),
			access(true, !m.ReadOnly), render.Bool(!m.Private), render.Int(int64(m.Mappings)), Container(m.Container),
		}
	}
	return render.Objects(columns("pid", "command", "user", "access", "shared", "mappings", "container"), rows)
}

func opened(list []inventory.Opener, names *account.Directory) render.Cell {
	rows := make([][]render.Cell, len(list))
	for i, o := range list {
		rows[i] = []render.Cell{
			pid(o.PID), render.Text(o.Comm), render.Text(names.UserOrID(o.UID)),
			access(o.Read, o.Write), render.Int(int64(o.Descriptors)), Container(o.Container),
		}
	}
	return render.Objects(columns("pid", "command", "user", "access", "descriptors", "container"), rows)
}

// access formats access rights; "-" means neither.
func access(read, write bool) render.Cell {
	switch {
	case read && write:
		return render.Text("rw")
	case read:
		return render.Text("ro")
	case write:
		return render.Text("wo")
	default:
		return render.Unknown()
	}
}

// contents shows bytes, sixteen per line, like hexdump -C.
func contents(b []byte) render.Cell {
	var rows [][]render.Cell
	for offset := 0; offset < len(b); offset += hexdump.PerLine {
		digits, text := hexdump.Line(b[offset:min(offset+hexdump.PerLine, len(b))])
		rows = append(rows, []render.Cell{render.Hex(uint64(offset), 1), render.Text(digits), render.Text(text)})
	}
	return render.Objects(columns("offset", "hex", "text"), rows)
}

func texts(list []string) render.Cell {
	cells := make([]render.Cell, len(list))
	for i, s := range list {
		cells[i] = render.Text(s)
	}
	return render.List(cells...)
}

// notInspected lists the first processes that could not be inspected, with reasons.
func notInspected(hidden *inventory.Hidden) (list []string) {
	const most = 10
	for i := range hidden.Processes[:min(len(hidden.Processes), most)] {
		list = append(list, hidden.Processes[i].String())
	}
	return list
}

func reasons(use *inventory.Use) []string {
	list := make([]string, len(use.Reasons))
	for i, r := range use.Reasons {
		list[i] = r.Text
	}
	return list
}

func columns(names ...string) []render.Column {
	list := make([]render.Column, len(names))
	for i, name := range names {
		list[i] = render.Column{Name: name, Heading: strings.ToUpper(name)}
	}
	return list
}

func program(p *inventory.Program) render.Cell {
	if p == nil {
		return render.Unknown()
	}
	directory := render.Unknown()
	if p.DataDir != "" {
		directory = render.Text(p.DataDir)
	}
	return render.Object(columns("name", "sure", "data_directory", "reasons"),
		[]render.Cell{render.Text(p.Name), render.Bool(p.Sure), directory, texts(p.Reasons)})
}

// actors lists the processes recorded in the object.
func actors(list []inventory.Actor, names *account.Directory) render.Cell {
	var rows [][]render.Cell
	for i := range list {
		a := &list[i]
		if a.State == inventory.None {
			continue
		}
		command, user := render.Unknown(), render.Unknown()
		if a.Process != nil && a.State == inventory.Alive {
			command, user = render.Text(a.Process.Comm), render.Text(names.UserOrID(a.Process.UID))
		}
		rows = append(rows, []render.Cell{
			render.Text(a.Role.String()), pid(a.PID), render.Text(a.State.String()), command, user, render.Time(a.When),
		})
	}
	return render.Objects(columns("role", "pid", "state", "command", "user", "when"), rows)
}

func pid(n int) render.Cell {
	if n == 0 {
		return render.Unknown()
	}
	return render.Int(int64(n))
}

// Container names a container, with its runtime if that is known.
func Container(c procfs.Container) render.Cell {
	if name := c.Name(); name != "" {
		return render.Container(name)
	}
	return render.Unknown()
}

func attached(list []inventory.Attacher, names *account.Directory) render.Cell {
	var rows [][]render.Cell
	for _, a := range list {
		rows = append(rows, []render.Cell{
			pid(a.PID), render.Text(a.Comm), render.Text(names.UserOrID(a.UID)),
			access(true, !a.ReadOnly), render.Int(int64(a.Mappings)), Container(a.Container),
		})
	}
	return render.Objects(columns("pid", "command", "user", "access", "mappings", "container"), rows)
}

func semaphores(use *inventory.Use) render.Cell {
	if use.Semaphores == nil {
		return render.Unknown()
	}
	commands := make(map[int]string)
	for _, a := range use.Actors {
		if a.State == inventory.Alive {
			commands[a.PID] = a.Process.Comm
		} else if a.State != inventory.None {
			commands[a.PID] = a.State.String()
		}
	}
	rows := make([][]render.Cell, len(use.Semaphores))
	for i, sem := range use.Semaphores {
		command := render.Unknown()
		if name := commands[sem.PID]; sem.PID != 0 && name != "" {
			command = render.Text(name)
		}
		rows[i] = []render.Cell{
			render.Int(int64(i)), render.Int(int64(sem.Value)), render.Int(int64(sem.NCount)), render.Int(int64(sem.ZCount)),
			pid(sem.PID), command,
		}
	}
	return render.Objects(columns("num", "value", "ncount", "zcount", "pid", "command"), rows)
}

func setWaiters(list []inventory.Waiter, names *account.Directory) render.Cell {
	var rows [][]render.Cell
	for i := range list {
		w := &list[i]
		ops, on, undo := render.Unknown(), render.Unknown(), render.Unknown()
		if w.Ops != nil {
			ops = render.Text(formatOps(w.Ops))
			if w.Blocked >= 0 && w.Blocked < len(w.Ops) {
				on, undo = render.Uint(uint64(w.Ops[w.Blocked].Num)), render.Bool(w.Ops[w.Blocked].Undo)
			}
		}
		rows = append(rows, []render.Cell{
			pid(w.PID), pid(w.TID), render.Text(w.Comm), render.Text(names.UserOrID(w.UID)),
			on, ops, undo, render.Bool(w.Timed), render.Time(w.Since), likelyHolder(w.Holder), Container(w.Container),
		})
	}
	return render.Objects(columns("pid", "tid", "command", "user", "semaphore", "operations", "undo", "timeout", "since", "likely_holder", "container"), rows)
}

// likelyHolder names the process that last operated on the awaited semaphore.
func likelyHolder(a *inventory.Actor) render.Cell {
	switch {
	case a == nil || a.PID == 0:
		return render.Unknown()
	case a.State == inventory.Alive:
		return render.Text(fmt.Sprintf("%d (%s)", a.PID, a.Process.Comm))
	default:
		return render.Text(fmt.Sprintf("%d (%v)", a.PID, a.State))
	}
}

func queueWaiters(list []inventory.Waiter, names *account.Directory) render.Cell {
	var rows [][]render.Cell
	for i := range list {
		w := &list[i]
		call, mtype := "receive", render.Unknown()
		if w.Sending {
			call = "send"
		}
		if w.TypeKnown {
			mtype = render.Int(w.Type)
		}
		rows = append(rows, []render.Cell{
			pid(w.PID), pid(w.TID), render.Text(w.Comm), render.Text(names.UserOrID(w.UID)),
			render.Text(call), mtype, render.Bool(w.Except), render.Int(int64(w.Size)), render.Time(w.Since), Container(w.Container),
		})
	}
	return render.Objects(columns("pid", "tid", "command", "user", "call", "type", "except", "size", "since", "container"), rows)
}

// deadlocks describes the cycles of waiting processes that include the set.
func deadlocks(s Subject) render.Cell {
	var found []string
	for _, d := range s.Inventory.Deadlocks {
		if !slices.ContainsFunc(d.Waits, func(w inventory.Wait) bool { return w.Set == s.Object.ID() }) {
			continue
		}
		steps := make([]string, len(d.Waits))
		for i, w := range d.Waits {
			steps[i] = fmt.Sprintf("%d (%s) waits for semaphore %d of sem:%d, which %d used last", w.PID, w.Comm, w.Semaphore, w.Set, w.HolderPID)
		}
		found = append(found, "possible deadlock: "+strings.Join(steps, "; "))
	}
	return texts(found)
}

// limitsOf lists the limits that apply to the kind.
func limitsOf(s Subject) render.Cell {
	var rows [][]render.Cell
	for _, l := range s.Limits {
		if !l.Concerns(s.Object.Kind) {
			continue
		}
		use := render.Unknown()
		if l.Counted {
			use = render.Uint(l.Use)
		}
		rows = append(rows, []render.Cell{render.Text(l.Name), Value(l), use, render.Text(l.About)})
	}
	return render.Objects(columns("limit", "value", "use", "about"), rows)
}

// Value formats the value of a limit.
func Value(l limits.Limit) render.Cell {
	if l.Unlimited() {
		return render.Unlimited(l.Value)
	}
	return render.Uint(l.Value)
}
