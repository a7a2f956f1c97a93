package detail

import (
	"encoding/json"
	"errors"
	"iter"
	"math"

	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// LimitColumns returns the columns of gipcs limits.
func LimitColumns() []render.Column {
	return []render.Column{
		{Name: "limit", Heading: "LIMIT"},
		{Name: "kind", Heading: "KIND", Rank: 1},
		{Name: "value", Heading: "VALUE", Align: render.Right},
		{Name: "use", Heading: "USE", Align: render.Right},
		{Name: "percent", Heading: "USE%", Align: render.Right},
		{Name: "mark", Heading: "MARK"},
		{Name: "sysctl", Heading: "SYSCTL", Rank: 2},
		{Name: "about", Heading: "ABOUT", Rank: 3},
	}
}

// LimitRows yields the rows for limits. Each row is valid until the next one.
func LimitRows(all []limits.Limit) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for _, l := range all {
			use, percent, mark, sysctl := render.Unknown(), render.Unknown(), render.Unknown(), render.Unknown()
			if l.Counted {
				use, percent = render.Uint(l.Use), Percentage(l.Share())
				if l.Share() >= limits.High {
					percent, mark = percent.Warn(), render.Text("high").Warn()
				}
			}
			if l.Sysctl != "" {
				sysctl = render.Text(l.Sysctl)
			}
			if !yield([]render.Cell{
				render.Text(l.Name), render.Text(l.Kind.String()), Value(l),
				use, percent, mark, sysctl, render.Text(l.About),
			}) {
				return
			}
		}
	}
}

// Percentage shows a share in percent, with one decimal in every format.
func Percentage(share float64) render.Cell { return render.Float(math.Round(1000*share)/10, 1) }

// ReadLimit returns the row for a limit that gipcs limits has printed as JSON, perhaps on
// another host.
func ReadLimit(line []byte) (row []render.Cell, err error) {
	var printed struct {
		Limit, Kind, Sysctl, About string
		Value, Use                 *uint64
	}
	if err := json.Unmarshal(line, &printed); err != nil {
		return nil, errors.New("it is no JSON object of a limit")
	}
	kind, err := ref.KindNamed(printed.Kind)
	switch {
	case err != nil:
		return nil, err
	case printed.Limit == "" || printed.Value == nil:
		return nil, errors.New("it lacks the fields limit and value")
	}
	l := limits.Limit{Name: printed.Limit, Kind: kind, Value: *printed.Value, Sysctl: printed.Sysctl, About: printed.About}
	if printed.Use != nil {
		l.Use, l.Counted = *printed.Use, true
	}
	for cells := range LimitRows([]limits.Limit{l}) {
		row = cells
	}
	return row, nil
}
