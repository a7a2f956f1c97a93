//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
)

// planFlag limits a removal to what an earlier --dry-run listed.
func planFlag() cli.Flag {
	return &cli.StringFlag{Name: "plan", Usage: "remove only what `FILE` lists, from --dry-run"}
}

// A plan is what gipcs rm --dry-run --format ndjson listed.
type plan struct {
	objects map[ref.Object]fields.Printed
	order   []ref.Object
}

// planOf reads the plan that --plan names, nil without the flag.
func planOf(c *cli.Context) (*plan, error) {
	if !c.IsSet("plan") {
		return nil, nil
	}
	name := c.String("plan")
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	p, err := readPlan(file)
	if err != nil {
		return nil, fmt.Errorf("--plan %s: %w", name, err)
	}
	return p, nil
}

// maxPlanLine is the maximum length of a line in a plan, in bytes.
const maxPlanLine = 1 << 20

func readPlan(r io.Reader) (*plan, error) {
	p := &plan{objects: make(map[ref.Object]fields.Printed)}
	list := fields.Lasting()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxPlanLine)
	for n := 1; lines.Scan(); n++ {
		printed, err := list.Read(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d is not one of gipcs rm --dry-run --format ndjson: %w", n, err)
		}
		var other struct{ Host *string }
		if _ = json.Unmarshal(lines.Bytes(), &other); other.Host != nil {
			return nil, fmt.Errorf("line %d is an object of the host %s, and a plan is for one host", n, *other.Host)
		}
		object, err := list.Ref(printed)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if p.objects[object] == nil {
			p.order = append(p.order, object)
		}
		p.objects[object] = printed
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("a line is longer than %d MiB", maxPlanLine>>20)
	} else if err != nil {
		return nil, err
	}
	return p, nil
}

// planned returns the targets that are in the plan and have not changed since. The other
// targets are left alone.
func (r *rmRun) planned(targets []removal.Target) ([]removal.Target, error) {
	if r.plan == nil {
		return targets, nil
	}
	columns, inv := fields.Lasting(), &inventory.Inventory{Taken: time.Now()}
	found := make(map[ref.Object]bool)
	var kept []removal.Target
	more := 0
	for _, t := range targets {
		found[t.Ref()] = true
		then, ok := r.plan.objects[t.Ref()]
		switch {
		case !ok && r.selected != nil:
			more++
			continue
		case !ok:
			r.fail(fmt.Errorf("%v is not in the plan", t))
			continue
		}
		column := columns.Differs(then, &fields.Row{Object: t.Object, Inventory: inv, Names: r.names})
		if column == "" {
			kept = append(kept, t)
		} else if err := r.leave(t, "it was used, changed or recreated since it was planned: another "+column); err != nil {
			return nil, err
		}
	}
	if more > 0 {
		r.say("%s in the plan", counted(more, "more matching object is not", "more matching objects are not"))
	}
	for _, o := range r.plan.order {
		// A named object that does not exist has been reported.
		if found[o] || r.selected == nil {
			continue
		}
		if err := r.leave(removal.Target{Kind: o.Kind, ID: o.ID, Name: o.Name}, "it is gone, or is not selected any more"); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// leave reports that a target is left alone.
func (r *rmRun) leave(t removal.Target, why string) error {
	return r.account(t, &removal.Skipped{Target: t, Why: why})
}
