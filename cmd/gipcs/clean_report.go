//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// An outcome is what became of an object that a rule chose.
type outcome int

const (
	wouldRemove outcome = iota // without --yes
	wasRemoved
	wasLeft    // for the next run, because of a limit or a signal
	wasSkipped // it was used or changed meanwhile
	hasFailed
)

func (o outcome) String() string {
	return [...]string{"would remove", "removed", "left", "skipped", "failed"}[o]
}

// A cleanResult is what became of an object, and why.
type cleanResult struct {
	rule    string
	target  removal.Target
	outcome outcome
	reason  error
}

// A tally sums up results.
type tally struct {
	objects [hasFailed + 1]int
	bytes   [hasFailed + 1]int64
}

func (r *cleanRun) tally() (t tally) {
	for i := range r.results {
		result := &r.results[i]
		t.objects[result.outcome]++
		t.bytes[result.outcome] += bytesOf(result.target.Object)
	}
	return t
}

// report prints what the run did, or would do, and returns its exit status.
func (r *cleanRun) report() error {
	t := r.tally()
	bad := r.trouble > 0 || t.objects[hasFailed] > 0 || r.interrupted
	if r.Bool("quiet") && !bad && t.objects[wasLeft] == 0 {
		return nil
	}
	var err error
	switch r.format {
	case render.Plain, render.Table:
		err = r.printLines(t)
	default:
		columns, cells := r.record(t)
		err = command.WriteRecord(r.Context, r.format, columns, cells)
	}
	return failedIf(bad, err)
}

// printLines prints the objects that would be removed, and a line that sums up.
func (r *cleanRun) printLines(t tally) error {
	if t.objects[wouldRemove] > 0 {
		if err := r.printPlan(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(r.App.Writer, r.summary(t))
	return err
}

// summary returns the line that sums up the run. A mail of cron holds only this line.
func (r *cleanRun) summary(t tally) string {
	what := wasRemoved
	if !r.Bool("yes") {
		what = wouldRemove
	}
	line := fmt.Sprintf("%s %s (%s)", what, counted(t.objects[what], "object", "objects"), counted64(t.bytes[what], "byte", "bytes"))
	for _, more := range []struct {
		n    int
		text string
	}{
		{t.objects[wasLeft], "left %d for the next run"},
		{r.kept, "kept %d"},
		{t.objects[wasSkipped], "skipped %d"},
		{t.objects[hasFailed], "failed to remove %d"},
	} {
		line += ", " + fmt.Sprintf(more.text, more.n)
	}
	if r.interrupted {
		line = "interrupted: " + line
	}
	return line
}

func counted64(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printPlan lists the objects that would be removed, with their rules.
func (r *cleanRun) printPlan() error {
	inv := &inventory.Inventory{Taken: r.began}
	var rules []string
	for i := range r.results {
		if result := &r.results[i]; result.outcome == wouldRemove {
			inv.Objects = append(inv.Objects, *result.target.Object)
			rules = append(rules, result.rule)
		}
	}
	list, err := r.explaining(fields.Default(fields.Families(inv.Objects), false))
	if err != nil {
		return err
	}
	columns := append([]render.Column{{Name: "rule", Heading: "RULE"}}, fields.Narrow(list.Columns())...)
	rows := func(yield func([]render.Cell) bool) {
		next := 0
		for cells := range list.Rows(inv, r.names) {
			if !yield(append([]render.Cell{render.Text(rules[next])}, cells...)) {
				return
			}
			next++
		}
	}
	return command.WriteRows(r.Context, r.format, columns, rows, render.Options{})
}

// explaining adds the columns that explain the rules' choices.
func (r *cleanRun) explaining(list fields.List) (fields.List, error) {
	for _, rule := range r.rules {
		if more := rule.selected.Columns(); len(more) > 0 {
			var err error
			if list, err = fields.Choose("+"+strings.Join(more, ","), list); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// record returns the run as one object.
func (r *cleanRun) record(t tally) ([]render.Column, []render.Cell) {
	var columns []render.Column
	var cells []render.Cell
	add := func(name string, c render.Cell) {
		heading := strings.ToUpper(strings.ReplaceAll(name, "_", " "))
		columns, cells = append(columns, render.Column{Name: name, Heading: heading}), append(cells, c)
	}
	add("policy", render.Text(r.String("policy")))
	add("began", render.Time(r.began))
	add("ended", render.Time(time.Now()))
	add("acted", render.Bool(r.Bool("yes")))
	add("interrupted", render.Bool(r.interrupted))
	for o := wouldRemove; o <= hasFailed; o++ {
		name := strings.ReplaceAll(o.String(), " ", "_")
		add(name, render.Int(int64(t.objects[o])))
		if o <= wasLeft {
			add(name+"_bytes", render.Int(t.bytes[o]))
		}
	}
	add("kept", render.Int(int64(r.kept)))
	add("resumed", render.Bool(r.resumed))
	add("backup", textOrUnknown(r.backup))
	add("backups_deleted", listOf(r.deleted))
	add("other_failures", render.Int(int64(r.trouble)))
	add("objects", r.objects())
	return columns, cells
}

func textOrUnknown(text string) render.Cell {
	if text == "" {
		return render.Unknown()
	}
	return render.Text(text)
}

func listOf(texts []string) render.Cell {
	var cells []render.Cell
	for _, text := range texts {
		cells = append(cells, render.Text(text))
	}
	return render.List(cells...)
}

// objects returns the results as a listing inside the record.
func (r *cleanRun) objects() render.Cell {
	list, err := fields.Choose("+verdict,reasons", fields.Default(ref.Kinds(), true))
	if err == nil {
		list, err = r.explaining(list)
	}
	if err != nil { // these columns exist
		return render.Unknown()
	}
	columns := append([]render.Column{
		{Name: "rule", Heading: "RULE"}, {Name: "result", Heading: "RESULT"}, {Name: "error", Heading: "ERROR"},
	}, list.Columns()...)
	inv := &inventory.Inventory{Taken: r.began}
	for i := range r.results {
		inv.Objects = append(inv.Objects, *r.results[i].target.Object)
	}
	var rows [][]render.Cell
	for cells := range list.Rows(inv, r.names) {
		result := &r.results[len(rows)]
		why := render.Unknown()
		if result.reason != nil {
			why = render.Text(result.reason.Error())
		}
		rows = append(rows, append([]render.Cell{render.Text(result.rule), render.Text(result.outcome.String()), why}, cells...))
	}
	return render.Objects(columns, rows)
}
