//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// explainLimits shows who uses up the limits that are high, or else the highest one, and
// how to get more.
func explainLimits(c *cli.Context, all []limits.Limit) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	inv, err := collectAny(c, inventory.Options{Want: inventory.WantVerdict | inventory.WantProgram})
	if err != nil {
		return err
	}
	reportUnlisted(c, inv)
	suggest := newSuggester(c)
	names, removers := account.New(), readRemovers(c)
	var rows [][]render.Cell
	for _, l := range pressing(all) {
		h := limits.NewHolding(l, inv.Objects, names)
		if err := addRemoved(c, &h, inv.Objects); err != nil {
			return err
		}
		row, err := holdingRow(h, suggest, texts(removers.ofAny(inv.Objects, l.Concerns)))
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return command.WriteRecords(c, format, holdingColumns(), slices.Values(rows), render.Options{})
}

// addRemoved adds objects that are held without a name. If more is in use than was
// found, it reports the processes that could not be inspected.
func addRemoved(c *cli.Context, h *limits.Holding, objects []inventory.Object) error {
	if h.Kind != ref.PShm {
		h.AddRemoved(objects, nil)
		return nil
	}
	deleted, hidden, err := inventory.DeletedMemory()
	if err != nil {
		return err
	}
	h.AddRemoved(objects, deleted)
	if hidden.Any() && h.Found() < h.Use && !c.Bool("ignore-hidden") {
		fmt.Fprintf(c.App.ErrWriter, "%s: there may be more unlinked memory: %s\n", c.App.Name, term.Escape(hidden.String()))
	}
	return nil
}

// A suggester formats commands that act on the inspected namespace.
type suggester struct {
	flags   string // for gipcs
	prefix  string // for other commands
	noEntry bool   // other commands cannot enter the namespace
	noMount bool   // neither can mount(8), which would act on another mount namespace
}

func newSuggester(c *cli.Context) (s suggester) {
	if c.Bool("ignore-hidden") {
		s.flags = " --ignore-hidden"
	}
	v := viewOf(c)
	if v == nil {
		return s
	}
	file := fileOf(v.Namespace)
	s.flags += " -N " + quoted(c.StringSlice("namespace")[0])
	s.prefix, s.noEntry, s.noMount = "nsenter --ipc="+quoted(file)+" ", file == "", v.OtherShm
	return s
}

// freeCommand returns the command that removes orphans, "" if there are none. It spares
// what was made or used within an hour: an object that an ended process left for the
// next one looks like an orphan until then.
func (s suggester) freeCommand(h limits.Holding) string {
	if h.Orphaned == 0 {
		return ""
	}
	where, since := fmt.Sprintf("kind == %q", h.Kind.String()), "--idle"
	if h.Concerns(ref.PSem) {
		// Objects in /dev/shm have no time of use.
		where, since = fmt.Sprintf("kind in [%q, %q]", ref.PShm.String(), ref.PSem.String()), "--older-than"
	}
	return fmt.Sprintf("gipcs rm --orphans %s 1h --where '%s' --yes%s", since, where, s.flags)
}

// raiseCommand returns a command that doubles the limit, or makes it twice the use if
// that is more. For queues it changes the default of future queues. It returns "" if
// there is no such command, or if the default is already above the queue's own limit.
func (s suggester) raiseCommand(h limits.Holding) (string, error) {
	full := max(h.Value, h.Use, 1)
	switch {
	case h.Unlimited():
		return "", nil
	case h.Kind == ref.PShm && s.noMount:
		return "", nil
	case h.Kind == ref.PShm:
		return fmt.Sprintf("mount -o remount,%s=%d /dev/shm", h.Name, 2*min(full, math.MaxInt64/2)), nil
	case s.noEntry:
		return "", nil
	case h.PerProcess():
		return fmt.Sprintf("ulimit -q %d", 2*min(full, math.MaxInt64/2)), nil
	case h.Value < h.Preset:
		return "", nil
	}
	double := min(full, 1<<30) * 2
	name, number, isPart := strings.Cut(strings.TrimSuffix(h.Sysctl, "]"), "[")
	switch {
	case h.Sysctl == "":
		return "", nil
	case !isPart:
		return fmt.Sprintf("%ssysctl -w %s=%d", s.prefix, name, double), nil
	}
	l, err := sysvipc.SemLimits()
	if err != nil {
		return "", err
	}
	numbers := []uint64{uint64(l.MaxPerSet), uint64(l.MaxSemaphores), uint64(l.MaxOps), uint64(l.MaxSets)}
	numbers[number[0]-'1'] = min(double, 1<<31-1)
	return fmt.Sprintf("%ssysctl -w %s='%d %d %d %d'", s.prefix, name, numbers[0], numbers[1], numbers[2], numbers[3]), nil
}

// quoted quotes a word for a shell.
func quoted(word string) string {
	if command.IsPlain(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// pressing returns the limits that are high, or else the fullest one. It is empty only
// if there are no limits.
func pressing(all []limits.Limit) (list []limits.Limit) {
	for _, l := range all {
		if l.Counted && l.Share() >= limits.High {
			list = append(list, l)
		}
	}
	if len(list) == 0 && len(all) > 0 {
		list = append(list, slices.MaxFunc(all, compareShares))
	}
	return list
}

// compareShares orders limits by share in use, ascending, with unknown shares first.
func compareShares(a, b limits.Limit) int {
	share := func(l limits.Limit) float64 {
		if !l.Counted {
			return -1
		}
		return l.Share()
	}
	return cmp.Compare(share(a), share(b))
}

func holdingColumns() []render.Column {
	return []render.Column{
		{Name: "limit"},
		{Name: "about"},
		{Name: "value"},
		{Name: "use"},
		{Name: "percent"},
		{Name: "mark"},
		{Name: "orphaned"},
		{Name: "free"},
		{Name: "raise"},
		{Name: "owners"},
		{Name: "programs"},
		{Name: "removed"},
		{Name: "removed_by"},
	}
}

func holdingRow(h limits.Holding, suggest suggester, removedBy render.Cell) ([]render.Cell, error) {
	raise, err := suggest.raiseCommand(h)
	if err != nil {
		return nil, err
	}
	mark := render.Unknown()
	if h.Share() >= limits.High {
		mark = render.Text("high").Warn()
	}
	return []render.Cell{
		render.Text(h.Name), render.Text(h.About), detail.Value(h.Limit), render.Uint(h.Use), detail.Percentage(h.Share()), mark,
		render.Uint(h.Orphaned), textOrNone(suggest.freeCommand(h)), textOrNone(raise),
		holders(h.Owners, h.Use), holders(h.Programs, h.Use), removed(h.Removed), removedBy,
	}, nil
}

func texts(list []string) render.Cell {
	cells := make([]render.Cell, len(list))
	for i, text := range list {
		cells[i] = render.Text(text)
	}
	return render.List(cells...)
}

// removed shows objects without a name, and who holds them.
func removed(list []limits.Removed) render.Cell {
	rows := make([][]render.Cell, len(list))
	for i, r := range list {
		amount := render.Unknown()
		if r.Known {
			amount = render.Uint(r.Amount)
		}
		var names []render.Cell
		for _, p := range r.Processes {
			names = append(names, render.Text(fmt.Sprintf("%s[%d]", p.Comm, p.PID)))
		}
		rows[i] = []render.Cell{render.Text(r.Name), amount, render.List(names...)}
	}
	return render.Objects([]render.Column{
		{Name: "name", Heading: "NAME"},
		{Name: "amount", Heading: "AMOUNT", Align: render.Right},
		{Name: "processes", Heading: "PROCESSES"},
	}, rows)
}

func textOrNone(s string) render.Cell {
	if s == "" {
		return render.Unknown()
	}
	return render.Text(s)
}

func holders(list []limits.Holder, use uint64) render.Cell {
	rows := make([][]render.Cell, len(list))
	for i, h := range list {
		rows[i] = []render.Cell{
			render.Text(h.Name), render.Uint(h.Amount), detail.Percentage(float64(h.Amount) / float64(max(use, 1))), render.Uint(h.Orphaned),
		}
	}
	return render.Objects([]render.Column{
		{Name: "name", Heading: "NAME"},
		{Name: "amount", Heading: "AMOUNT", Align: render.Right},
		{Name: "percent", Heading: "SHARE%", Align: render.Right},
		{Name: "orphaned", Heading: "ORPHANED", Align: render.Right},
	}, rows)
}
