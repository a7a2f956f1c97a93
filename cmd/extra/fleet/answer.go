//go:build linux

package fleet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/snapshot"
	"github.com/sysvipc/gipc/posix"
)

// answer writes the answer of this host. If the question is wrong the error is a rejected.
func answer(verb Verb, q *Question, w io.Writer) (report, error) {
	switch verb {
	case List:
		return list(q, w)
	case Show:
		return show(q, w)
	case Limits:
		return showLimits(q, w)
	default:
		return takeSnapshot(q, w)
	}
}

// A sighting is what a question selects.
type sighting struct {
	*inventory.Inventory
	report
	selected selection.Selection
	kinds    []ref.Kind
	names    *account.Directory
	failed   error // of the selection
}

// look collects the objects that a question selects, with what else is wanted.
func look(q *Question, want inventory.Want) (*sighting, error) {
	s := &sighting{names: account.New()}
	for _, text := range q.Where {
		condition, err := selection.Parse(text)
		if err != nil {
			return nil, rejected{fmt.Errorf("--where %q: %w", text, err)}
		}
		s.selected = append(s.selected, condition)
	}
	want |= s.selected.Want()
	s.kinds = s.selected.Kinds()
	if len(s.kinds) == 0 {
		s.Inventory = &inventory.Inventory{}
		return s, nil
	}
	o := inventory.Options{Want: want, Kinds: s.kinds, Partial: true, HiddenIdle: q.IgnoreHidden, WithMessages: q.WithMessages}
	if want&(inventory.WantVerdict|inventory.WantOwner) != 0 {
		o.Kinds = related(s.kinds)
	}
	var err error
	if s.Inventory, err = inventory.Collect(o); err != nil {
		return nil, explain.Now(err)
	}
	for _, u := range s.Unlisted {
		// A machine without POSIX queues is no failure, unless they are asked for.
		absent := errors.Is(u.Err, posix.ErrNotMounted) || errors.Is(u.Err, fs.ErrNotExist)
		named := s.selected.Names(u.Kind)
		if named || !absent {
			s.note(u.Err)
		}
		if named || !absent && u.Kind.POSIX() && s.selected.AsksForPOSIX() {
			s.status = command.Failed
		}
	}
	choice := s.selected.Choose(s.Inventory, s.names)
	if s.failed = choice.Err(); s.failed != nil {
		s.note(s.failed)
		s.status = command.Failed
	}
	s.Objects = slices.DeleteFunc(choice.Selected, func(o inventory.Object) bool { return !slices.Contains(s.kinds, o.Kind) })
	fields.ExpectNames(s.Inventory, s.names)
	return s, nil
}

// related returns the kinds on which a verdict about objects of kinds rests.
func related(kinds []ref.Kind) (all []ref.Kind) {
	if slices.ContainsFunc(kinds, func(k ref.Kind) bool { return !k.POSIX() }) {
		all = ref.SystemV()
	}
	if slices.ContainsFunc(kinds, ref.Kind.POSIX) {
		all = append(slices.Clone(all), ref.POSIX()...)
	}
	return all
}

// list is gipcs ls. The columns that this version does not know are left out.
func list(q *Question, w io.Writer) (report, error) {
	var columns fields.List
	for _, c := range fields.All() {
		if slices.Contains(q.Columns, c.Name) {
			columns = append(columns, c)
		}
	}
	s, err := look(q, columns.Want())
	if err != nil {
		return report{}, err
	}
	return s.report, render.Write(w, render.NDJSON, columns.Columns(), columns.Rows(s.Inventory, s.names), render.Options{})
}

// showLimits is gipcs limits.
func showLimits(q *Question, w io.Writer) (said report, err error) {
	all, err := limits.Read(ref.Kinds())
	if err != nil {
		said.note(err)
		said.status = command.Failed
	}
	if len(q.Where) > 0 {
		s, err := look(q, 0)
		if err != nil {
			return said, err
		}
		for i := range all {
			all[i].Count(s.Objects)
		}
		said.status, said.notes = max(said.status, s.status), append(said.notes, s.notes...)
	}
	return said, render.Write(w, render.NDJSON, detail.LimitColumns(), detail.LimitRows(all), render.Options{})
}

// show is gipcs show, without contents: neither of memory nor of messages.
func show(q *Question, w io.Writer) (said report, err error) {
	all, err := limits.Read(ref.Kinds())
	if err != nil {
		said.note(err)
	}
	names := account.New()
	for _, text := range q.Objects {
		kind, r, err := ref.ParseKind(text)
		if err != nil {
			return said, rejected{err}
		}
		record, err := recordOf(q, kind, r, all, names)
		if err != nil {
			said.note(err)
			said.status = command.Failed
			continue
		}
		if err := render.WriteRecord(w, render.NDJSON, record.Columns, record.Cells, render.Options{}); err != nil {
			return said, err
		}
	}
	return said, nil
}

// recordOf returns what is known about an object.
func recordOf(q *Question, kind ref.Kind, r ref.Ref, all []limits.Limit, names *account.Directory) (*detail.Record, error) {
	target, err := removal.Find(kind, r)
	if err != nil {
		return nil, explain.Now(err)
	}
	o := inventory.Options{Kinds: related([]ref.Kind{kind}), Want: detail.Want(kind), Partial: true, HiddenIdle: q.IgnoreHidden, WithMessages: q.WithMessages}
	o.Memory = func(o *inventory.Object) bool { return o.Ref() == target.Ref() }
	inv, err := inventory.CollectOne(target.Ref(), o)
	if err != nil {
		return nil, explain.Now(err)
	}
	i := slices.IndexFunc(inv.Objects, func(o inventory.Object) bool { return o.Ref() == target.Ref() })
	if i < 0 {
		return nil, fmt.Errorf("%v was removed meanwhile", target)
	}
	own := slices.DeleteFunc(slices.Clone(all), func(l limits.Limit) bool { return l.Kind != kind })
	record := detail.New(detail.Subject{Object: &inv.Objects[i], Inventory: inv, Names: names, Limits: own})
	return &record, nil
}

// takeSnapshot is gipcs snapshot.
func takeSnapshot(q *Question, w io.Writer) (report, error) {
	h, err := snapshot.Here()
	if err != nil {
		return report{}, err
	}
	s, err := look(q, snapshot.Want())
	if err != nil {
		return report{}, err
	}
	h.Program, h.UID = command.Version, uint32(os.Geteuid())
	h.Selection = snapshot.Selection{Conditions: q.Where, WithMessages: q.WithMessages, IgnoreHidden: q.IgnoreHidden}
	h.Describe(s.Inventory, s.kinds, s.failed)
	return s.report, snapshot.Write(w, h, s.Inventory, s.names)
}
