//go:build linux

package main

import (
	"context"
	"errors"
	"iter"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// once takes two samples, one interval apart, and prints the second one with the changes.
func once(ctx context.Context, c *cli.Context, m *model) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	var worker collector
	r := request{filter: m.filter.good}
	m.take(worker.collect(r))
	wait(ctx, m.interval)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.take(worker.collect(r))
	if err := command.WriteRows(c, format, onceColumns(), onceRows(m.rows), render.Options{HumanSizes: true}); err != nil {
		return err
	}
	for _, problem := range m.sample.problems {
		command.Report(c.App.ErrWriter, c.App.Name, errors.New(problem))
	}
	if len(m.sample.problems) > 0 {
		return command.Exit(command.Failed)
	}
	return nil
}

func onceColumns() []render.Column {
	columns := []render.Column{
		{Name: "kind", Heading: "KIND"},
		{Name: "id", Heading: "ID", Align: render.Right},
		{Name: "name", Heading: "NAME"},
		{Name: "owner", Heading: "OWNER"},
		{Name: "size", Heading: "SIZE", Align: render.Right},
	}
	for m := range measure(measures) {
		heading := headings()[byteColumn+column(m)]
		columns = append(columns,
			render.Column{Name: m.String(), Heading: heading, Align: render.Right},
			render.Column{Name: m.String() + "_per_second", Heading: heading + "/S", Align: render.Right})
	}
	return columns
}

func onceRows(tracks []*track) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for _, t := range tracks {
			cells := []render.Cell{render.Text(t.id.Kind.String()), render.Unknown(), render.Unknown(), render.Text(t.owner), render.Unknown()}
			if t.id.Kind.POSIX() {
				cells[2] = render.Text(t.id.Name)
			} else {
				cells[1] = render.Int(int64(t.id.ID))
			}
			if t.size.known {
				cells[4] = render.Size(t.size.n)
			}
			for m := range measure(measures) {
				cells = append(cells, figureCell(m, t.figures[m]), rateCell(t.rates[m]))
			}
			if !yield(cells) {
				return
			}
		}
	}
}

func figureCell(m measure, f figure) render.Cell {
	switch {
	case !f.known:
		return render.Unknown()
	case m == byteMeasure:
		return render.Size(f.n)
	default:
		return render.Uint(f.n)
	}
}

func rateCell(r rate) render.Cell {
	if !r.known {
		return render.Unknown()
	}
	return render.Float(r.perSecond, 1)
}
