package main

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

func limitsCommand() *cli.Command {
	return &cli.Command{
		Name:        "limits",
		Usage:       "show the limits of the system and what is in use of them",
		Description: "A limit of which 80 % are in use is marked with \"high\". kernel.sem[N] is the N-th number\nof that sysctl; size and nr_inodes are those of the file system on /dev/shm. If objects are selected, only what they use is counted.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "check", Usage: "show only limits of which more than `PERCENT` are in use; exit 1 if there are any"},
			&cli.BoolFlag{Name: "explain", Usage: "of the limits that are high, or the highest, show who holds what is in use and how to get more", DisableDefaultText: true},
		}, selectFlags(), []cli.Flag{namespaceFlag()}, command.FormatFlags("plain")),
		Action: inNamespace(showLimits),
	}
}

func showLimits(c *cli.Context) error {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return err
	}
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	checked := c.IsSet("check")
	if checked && c.Bool("explain") {
		return command.Usagef("--explain and --check exclude each other")
	}
	var bound uint64
	if checked {
		if bound, err = units.ParseUint("percentage", c.String("check"), 100); err != nil {
			return command.Usagef("--check: %w", err)
		}
	}
	selected, err := selectionOf(c)
	if err != nil {
		return err
	}
	if selected != nil && c.Bool("explain") {
		return command.Usagef("--explain tells of all objects; it and conditions that select some exclude each other")
	}
	all, err := limits.Read(visibleKinds(c))
	if err == nil && selected != nil {
		err = countSelected(c, all, selected)
	}
	if err != nil {
		return err
	}
	if c.Bool("explain") {
		return explainLimits(c, all)
	}
	shown := all
	if checked {
		shown = above(all, float64(bound))
		if len(shown) == 0 && !forMachines(format) {
			return nil
		}
	}
	if err := command.WriteRows(c, format, limitColumns(), limitRows(shown), render.Options{}); err != nil {
		return err
	}
	if checked && len(shown) > 0 {
		return command.Exit(command.Failed)
	}
	return nil
}

// countSelected puts what selected objects use in place of what all do.
func countSelected(c *cli.Context, all []limits.Limit, s selection.Selection) error {
	inv, err := collectAny(c, inventory.Options{Want: s.Want()})
	if err != nil {
		return err
	}
	reportUnlisted(c, inv)
	choice := s.Choose(inv, account.New())
	if err := choice.Err(); err != nil {
		return fmt.Errorf("--where: %w", err)
	}
	for i := range all {
		all[i].Count(choice.Selected)
	}
	return nil
}

func above(all []limits.Limit, percent float64) (high []limits.Limit) {
	for _, l := range all {
		// What is full is above everything, 100 too.
		if l.Counted && (100*l.Share() > percent || l.Use >= l.Value) {
			high = append(high, l)
		}
	}
	return high
}

func limitColumns() []render.Column {
	return []render.Column{
		{Name: "limit", Heading: "LIMIT"},
		{Name: "kind", Heading: "KIND"},
		{Name: "value", Heading: "VALUE", Align: render.Right},
		{Name: "use", Heading: "USE", Align: render.Right},
		{Name: "percent", Heading: "USE%", Align: render.Right},
		{Name: "mark", Heading: "MARK"},
		{Name: "sysctl", Heading: "SYSCTL"},
		{Name: "about", Heading: "ABOUT"},
	}
}

func limitRows(all []limits.Limit) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for _, l := range all {
			use, percent, mark, sysctl := render.Unknown(), render.Unknown(), render.Unknown(), render.Unknown()
			if l.Counted {
				use, percent = render.Uint(l.Use), percentage(l.Share())
				if l.Share() >= limits.High {
					percent, mark = percent.Warn(), render.Text("high").Warn()
				}
			}
			if l.Sysctl != "" {
				sysctl = render.Text(l.Sysctl)
			}
			if !yield([]render.Cell{
				render.Text(l.Name), render.Text(l.Kind.String()), render.Uint(l.Value),
				use, percent, mark, sysctl, render.Text(l.About),
			}) {
				return
			}
		}
	}
}

// percentage shows a share in percent, with one decimal in every format.
func percentage(share float64) render.Cell { return render.Float(math.Round(1000*share)/10, 1) }
