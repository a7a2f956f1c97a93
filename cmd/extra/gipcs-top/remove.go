//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A plan is a removal that the user has asked about. It never changes.
type plan struct {
	id     identity
	lines  []string        // the object, its verdict and the reasons; unescaped
	target *removal.Target // nil if it cannot be removed; then why says why
	why    string
}

// planFor inspects an object for its removal. What the user reads in the plan is what
// the removal compares with the object just before it.
func planFor(id identity) *plan {
	p := &plan{id: id}
	inv, object, err := inspect(id)
	if err != nil {
		p.why = explain.Error(err)
		return p
	}
	mine, foreign := removal.Select(inv, detail.Want(id.Kind), []inventory.Object{*object})
	names := account.New()
	p.lines = planLines(object, names)
	if len(foreign) > 0 {
		p.why = fmt.Sprintf("%v belongs to %s; only its owner or root can remove it", id.Object, names.UserOrID(object.Ownership().UID))
		return p
	}
	p.target = &mine[0]
	return p
}

func planLines(o *inventory.Object, names *account.Directory) []string {
	about := o.Kind.Noun() + " of " + names.UserOrID(o.Ownership().UID)
	r := newRow(o, figure{})
	if r.size.known {
		about += ", " + units.FormatSize(r.size.n)
	}
	if n := r.figures[messageMeasure]; n.known && n.n > 0 {
		about += fmt.Sprintf(", with %d messages", n.n)
	}
	lines := []string{about, "verdict: " + o.Use.Verdict.String()}
	if p := o.Use.Program; p != nil {
		lines = append(lines, "program: "+p.Name)
	}
	for _, reason := range o.Use.Reasons {
		lines = append(lines, "- "+reason.Text)
	}
	return lines
}

// carryOut removes the object of a plan unless it was used or changed since the plan was
// made. It returns a sentence with the result.
func (p *plan) carryOut(ctx context.Context) string {
	again := func() (*inventory.Inventory, error) { return inventory.CollectOne(p.id.Object, evidence(p.id)) }
	for t, err := range removal.Remove(ctx, []removal.Target{*p.target}, removal.Options{Again: again}) {
		var skipped *removal.Skipped
		switch {
		case err == nil && t.Object.Segment != nil && t.Object.Segment.NAttch > 0:
			return fmt.Sprintf("%v is marked for removal; the kernel destroys it at its last detach", t)
		case err == nil:
			return fmt.Sprintf("%v was removed", t)
		case errors.As(err, &skipped):
			return err.Error()
		default:
			return fmt.Sprintf("%v was not removed: %s", t, strings.TrimPrefix(explain.Error(err), t.String()+": "))
		}
	}
	return fmt.Sprintf("%v was not removed: interrupted", p.id.Object)
}
