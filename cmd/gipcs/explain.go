package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// explainLimits shows of the limits that are high, or else of the one that is
// highest, who holds what is in use, and how to get more.
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
	where, err := placeOf(c)
	if err != nil {
		return err
	}
	names := account.New()
	var rows [][]render.Cell
	for _, l := range pressing(all) {
		row, err := holdingRow(limits.NewHolding(l, inv.Objects, names), where)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return command.WriteRecords(c, format, holdingColumns(), slices.Values(rows), render.Options{})
}

// A place is what commands have to say to work on what was looked at.
type place struct {
	flags   string // behind gipcs
	prefix  string // in front of others
	noEntry bool   // others can not be brought there
}

func placeOf(c *cli.Context) (p place, err error) {
	if c.Bool("ignore-hidden") {
		p.flags = " --ignore-hidden"
	}
	if !c.IsSet("namespace") {
		return p, nil
	}
	text := c.String("namespace")
	ns, err := findNamespace(text)
	if err != nil {
		return p, err
	}
	file := fileOf(ns)
	p.flags += " -N " + quoted(text)
	p.prefix, p.noEntry = "nsenter --ipc="+quoted(file)+" ", file == ""
	return p, nil
}

func (p place) free(h limits.Holding) string {
	free := h.FreeCommand()
	if free == "" {
		return ""
	}
	return free + p.flags
}

func (p place) raise(h limits.Holding) (string, error) {
	raise, err := h.RaiseCommand()
	if err != nil || raise == "" || p.noEntry {
		return "", err
	}
	return p.prefix + raise, nil
}

// quoted returns a word as a shell takes it.
func quoted(word string) string {
	if command.IsPlain(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// pressing returns the limits that are high, or else the one of which the most is in use.
func pressing(all []limits.Limit) (list []limits.Limit) {
	var highest limits.Limit
	for _, l := range all {
		if !l.Counted {
			continue
		}
		if l.Share() >= limits.High {
			list = append(list, l)
		}
		if highest.Name == "" || l.Share() > highest.Share() {
			highest = l
		}
	}
	if len(list) == 0 {
		list = append(list, highest)
	}
	return list
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
	}
}

func holdingRow(h limits.Holding, where place) ([]render.Cell, error) {
	raise, err := where.raise(h)
	if err != nil {
		return nil, err
	}
	mark := render.Unknown()
	if h.Share() >= limits.High {
		mark = render.Text("high").Warn()
	}
	return []render.Cell{
		render.Text(h.Name), render.Text(h.About), render.Uint(h.Value), render.Uint(h.Use), percentage(h.Share()), mark,
		render.Uint(h.Orphaned), textOrNone(where.free(h)), textOrNone(raise),
		holders(h.Owners, h.Use), holders(h.Programs, h.Use),
	}, nil
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
			render.Text(h.Name), render.Uint(h.Amount), percentage(float64(h.Amount) / float64(max(use, 1))), render.Uint(h.Orphaned),
		}
	}
	return render.Objects([]render.Column{
		{Name: "name", Heading: "NAME"},
		{Name: "amount", Heading: "AMOUNT", Align: render.Right},
		{Name: "percent", Heading: "SHARE%", Align: render.Right},
		{Name: "orphaned", Heading: "ORPHANED", Align: render.Right},
	}, rows)
}
