//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/hook"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/watch"
)

// A printer writes events.
type printer struct {
	names   *account.Directory
	columns []render.Column
	fields  fields.List // of an object, which come first after the event
}

func newPrinter(names *account.Directory) *printer {
	p := &printer{names: names}
	for _, name := range []string{"key", "owner", "size", "nattch", "nsems", "messages", "ctime"} {
		p.fields = append(p.fields, fields.Field(name))
	}
	for _, name := range slices.Concat(
		[]string{"time", "after", "event", "source", "kind", "id", "name"}, p.objectFields(),
		[]string{
			"nattch_before", "pid", "role", "state", "command", "tid", "semaphore", "since", "likely_holder",
			"verdict", "verdict_before", "reasons", "limit", "use", "value", "percent", "high",
		},
	) {
		p.columns = append(p.columns, render.Column{Name: name})
	}
	return p
}

func (p *printer) objectFields() (names []string) {
	for i := range p.fields {
		names = append(names, p.fields[i].Name)
	}
	return names
}

// json returns an event as a line of JSON.
func (p *printer) json(e *watch.Event) []byte {
	cells := slices.Concat(p.eventCells(e), p.objectCells(e), p.actorCells(e), p.waitCells(e), p.verdictCells(e), p.limitCells(e))
	var b bytes.Buffer
	// Writing to memory cannot fail, and there is a cell for each column.
	_ = render.Write(&b, render.NDJSON, p.columns, slices.Values([][]render.Cell{cells}), render.Options{})
	return b.Bytes()
}

func (p *printer) eventCells(e *watch.Event) []render.Cell {
	source := "look"
	if e.Notified {
		source = "inotify"
	}
	id, name := render.Unknown(), render.Unknown()
	switch {
	case e.Limit != nil:
	case e.Ref.Kind.POSIX():
		name = render.Text(e.Ref.Name)
	default:
		id = render.Int(int64(e.Ref.ID))
	}
	return []render.Cell{
		render.Time(e.Time), render.Time(e.After), render.Text(e.What.String()), render.Text(source),
		render.Text(e.Ref.Kind.String()), id, name,
	}
}

// objectCells returns the fields of the object as it was last seen.
func (p *printer) objectCells(e *watch.Event) []render.Cell {
	cells := make([]render.Cell, len(p.fields))
	if e.Object != nil {
		p.fields.Fill(cells, &fields.Row{Object: e.Object, Inventory: e.Inventory, Names: p.names})
	}
	return cells
}

func (p *printer) actorCells(e *watch.Event) []render.Cell {
	before := render.Unknown()
	if e.What == watch.Attached || e.What == watch.Detached {
		before = render.Uint(e.Attachments)
	}
	if e.Waiter != nil {
		return []render.Cell{before, render.Int(int64(e.Waiter.PID)), render.Text("waiter"), render.Text("alive"), render.Text(e.Waiter.Comm)}
	}
	a := e.Actor()
	if a == nil {
		return []render.Cell{before, render.Unknown(), render.Unknown(), render.Unknown(), render.Unknown()}
	}
	comm := render.Unknown()
	if a.State == inventory.Alive {
		comm = render.Text(a.Process.Comm)
	}
	return []render.Cell{before, render.Int(int64(a.PID)), render.Text(a.Role.String()), render.Text(a.State.String()), comm}
}

func (p *printer) waitCells(e *watch.Event) []render.Cell {
	w := e.Waiter
	if w == nil {
		return make([]render.Cell, 4)
	}
	num, holder := render.Unknown(), render.Unknown()
	if n, ok := awaited(w); ok {
		num = render.Int(int64(n))
	}
	if w.Holder != nil && w.Holder.PID != 0 {
		holder = render.Int(int64(w.Holder.PID))
	}
	return []render.Cell{render.Int(int64(w.TID)), num, render.Time(w.Since), holder}
}

// awaited returns the semaphore on which a thread waits.
func awaited(w *inventory.Waiter) (num uint16, ok bool) {
	if w.Blocked < 0 || w.Blocked >= len(w.Ops) {
		return 0, false
	}
	return w.Ops[w.Blocked].Num, true
}

func (p *printer) verdictCells(e *watch.Event) []render.Cell {
	if e.What != watch.Verdict {
		return make([]render.Cell, 3)
	}
	var reasons []render.Cell
	for _, r := range e.Object.Use.Reasons {
		reasons = append(reasons, render.Text(r.Text))
	}
	return []render.Cell{render.Text(e.Object.Use.Verdict.String()), render.Text(e.Before.String()), render.List(reasons...)}
}

func (p *printer) limitCells(e *watch.Event) []render.Cell {
	l := e.Limit
	if l == nil {
		return make([]render.Cell, 5)
	}
	return []render.Cell{render.Text(l.Name), render.Uint(l.Use), render.Uint(l.Value), render.Float(100*l.Share(), 1), render.Bool(e.High)}
}

// text returns an event as a line for people.
func (p *printer) text(e *watch.Event) string {
	subject := e.Ref.String()
	if e.Limit != nil {
		subject = e.Limit.Name
	}
	line := fmt.Sprintf("%s %-8v %s", e.Time.Format(time.DateTime), e.What, term.Escape(subject))
	if facts := p.facts(e); facts != "" {
		line += "  " + term.Escape(facts)
	}
	return line + "\n"
}

// facts says what is known about an event.
func (p *printer) facts(e *watch.Event) string {
	switch e.What {
	case watch.Attached, watch.Detached:
		return attachments(e)
	case watch.Marked:
		return "destroyed with the last of " + counted(int(e.Object.Segment.NAttch), "attachment", "attachments")
	case watch.Waiting:
		return waitOf(e)
	case watch.Verdict:
		return verdictOf(e)
	case watch.Limit:
		if e.High {
			return fmt.Sprintf("up to %.0f %% (%d of %d)", 100*e.Limit.Share(), e.Limit.Use, e.Limit.Value)
		}
		return fmt.Sprintf("down to %.0f %% (%d of %d)", 100*e.Limit.Share(), e.Limit.Use, e.Limit.Value)
	}
	if e.Object == nil {
		return "gone before it could be looked at"
	}
	facts := p.objectFacts(e.Object)
	if a := e.Actor(); a != nil {
		facts = append(facts, "made by "+nameOf(a))
	}
	return strings.Join(facts, ", ")
}

// objectFacts says what an object is.
func (p *printer) objectFacts(o *inventory.Object) (facts []string) {
	if perm := o.Perm(); perm != nil && perm.Key == 0 {
		facts = append(facts, "private")
	} else if perm != nil {
		facts = append(facts, fmt.Sprintf("key 0x%08x", uint32(perm.Key)))
	}
	switch o.Kind {
	case ref.Shm:
		facts = append(facts, counted(int(o.Segment.Size), "byte", "bytes"))
	case ref.PShm:
		facts = append(facts, counted(int(o.PShm.Size), "byte", "bytes"))
	case ref.Sem:
		facts = append(facts, counted(o.Set.NSems, "semaphore", "semaphores"))
	case ref.Msg:
		facts = append(facts, counted(int(o.Queue.QNum), "message", "messages"))
	}
	return append(facts, "owner "+p.names.UserOrID(o.Ownership().UID))
}

// nameOf names a process, and says if it has ended.
func nameOf(a *inventory.Actor) string {
	switch a.State {
	case inventory.Alive:
		return fmt.Sprintf("%s[%d]", a.Process.Comm, a.PID)
	case inventory.Gone, inventory.Reused:
		return fmt.Sprintf("process %d, which has ended", a.PID)
	default:
		return fmt.Sprintf("process %d", a.PID)
	}
}

func attachments(e *watch.Event) string {
	now, before := e.Object.Segment.NAttch, e.Attachments
	change := fmt.Sprintf("%d more", now-before)
	if now < before {
		change = fmt.Sprintf("%d fewer", before-now)
	}
	text := fmt.Sprintf("%s, %s", counted(int(now), "attachment", "attachments"), change)
	if a := e.Actor(); a != nil {
		text += "; last attached or detached by " + nameOf(a)
	}
	return text
}

func waitOf(e *watch.Event) string {
	w := e.Waiter
	text := fmt.Sprintf("%s[%d] waits for %v", w.Comm, w.PID, e.Time.Sub(w.Since).Round(time.Second))
	num, ok := awaited(w)
	switch {
	case e.Ref.Kind == ref.Sem && ok:
		text += fmt.Sprintf(" on semaphore %d", num)
	case e.Ref.Kind == ref.Msg && w.Sending:
		text += " to send"
	case e.Ref.Kind == ref.Msg:
		text += " to receive"
	}
	if w.Holder != nil && w.Holder.PID != 0 {
		text += ", last operated on by " + nameOf(w.Holder)
	}
	return text
}

func verdictOf(e *watch.Event) string {
	var reasons []string
	for _, r := range e.Object.Use.Reasons {
		reasons = append(reasons, r.Text)
	}
	return fmt.Sprintf("%v, was %v: %s", e.Object.Use.Verdict, e.Before, strings.Join(reasons, ", "))
}

// execQueue is how many events may wait for the program of --exec.
const execQueue = 1024

// eventPrefix begins the environment variables that hold the fields of an event.
const eventPrefix = "GIPCS_"

func (w *watcher) startHook() *hook.Hook {
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, eventPrefix) })
	return hook.Start(hook.Options{
		Command: w.program, Environ: own, Timeout: w.timeout, Queue: execQueue, Output: os.Stderr,
		Failed: func(e hook.Event, err error) { w.say("%s for %s: %v", w.program[0], e.Name, err) },
	})
}

// pass passes an event to the program of --exec.
func (w *watcher) pass(e *watch.Event, line []byte) {
	dropped := w.hook.Dropped()
	w.hook.Pass(hook.Event{Name: fmt.Sprintf("%v %v", e.What, e.Ref), Environ: environ(line), Input: line})
	if dropped == 0 && w.hook.Dropped() > 0 {
		w.say("%s is too slow; it is not run for some events", w.program[0])
	}
}

// environ returns the fields of an event as environment variables. Unknown ones are left
// out, and lists are joined.
func environ(line []byte) (list []string) {
	var event map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if d.Decode(&event) != nil {
		return nil
	}
	for name, value := range event {
		text := fmt.Sprint(value)
		switch v := value.(type) {
		case nil:
			continue
		case []any:
			var items []string
			for _, item := range v {
				items = append(items, fmt.Sprint(item))
			}
			text = strings.Join(items, ", ")
		}
		list = append(list, eventPrefix+strings.ToUpper(name)+"="+text)
	}
	slices.Sort(list)
	return list
}
