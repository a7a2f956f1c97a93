//go:build linux

package main

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/metrics"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// byHelp lists the columns of gipcs ls --by.
func byHelp() string {
	var help strings.Builder
	help.WriteString("Columns with --by, besides those of its LIST:\n")
	for _, m := range groups.Measures() {
		help.WriteString(helpLine(fields.Column{Name: m.Name, About: m.About}))
	}
	return help.String()
}

// A summary holds the options of gipcs ls --by.
type summary struct {
	listing
	layout  *groups.Layout
	metrics *metricsOptions // nil: a listing
}

// lsBy sums up the objects of one place, or of every place.
func lsBy(c *cli.Context) error {
	s, err := readSummary(c)
	if err != nil {
		return err
	}
	var visits []visit[inventory.Place, metrics.Scan]
	if c.Bool("all-namespaces") {
		visits, err = visitPlaces(c, s.scan)
	} else {
		visits = make([]visit[inventory.Place, metrics.Scan], 1)
		visits[0].seen, err = s.scan(c)
	}
	if err != nil {
		return err
	}
	return failedIf(s.incomplete, s.write(c, visits))
}

func readSummary(c *cli.Context) (*summary, error) {
	s := &summary{listing: listing{names: account.New()}}
	var err error
	if s.metrics, err = readMetricsOptions(c); err != nil {
		return nil, err
	}
	if s.metrics == nil {
		if s.format, err = command.FormatOf(c); err != nil {
			return nil, err
		}
	}
	if err := s.read(c); err != nil {
		return nil, err
	}
	if s.layout, err = groups.NewLayout(c.String("by"), c.String("output"), c.String("sort")); err != nil {
		return nil, command.Usage(err)
	}
	s.want = s.layout.Want()
	return s, nil
}

// scan collects the selected objects that the command sees.
func (s *summary) scan(c *cli.Context) (*metrics.Scan, error) {
	began := time.Now()
	inv, err := s.collect(c)
	if err != nil {
		return nil, err
	}
	sums := groups.Sum(s.layout.By, s.layout.Measures, fields.Rows(inv, s.names))
	inv.Objects = nil // free them: every place may have many
	scan := &metrics.Scan{Groups: sums, Inventory: inv, Want: s.want | s.selected.Want(), Took: time.Since(began)}
	if v := viewOf(c); v != nil && c.Bool("all-namespaces") {
		scan.Place = placeName(&v.Place)
	}
	return scan, nil
}

func (s *summary) write(c *cli.Context, visits []visit[inventory.Place, metrics.Scan]) error {
	if s.metrics != nil {
		var scans []metrics.Scan
		for _, v := range visits {
			if v.seen != nil {
				scans = append(scans, *v.seen)
			}
		}
		return s.metrics.write(c, metrics.Objects(s.layout.By, s.layout.Measures, scans))
	}
	columns, place := s.layout.Columns(), []render.Column(nil)
	if c.Bool("all-namespaces") {
		place = placeColumns()
	}
	options := render.Options{NoHeadings: c.Bool("no-headings"), HumanSizes: c.Bool("human")}
	return command.WriteRows(c, s.format, slices.Concat(place, columns), s.rows(visits, len(place), len(columns)), options)
}

// rows yields the groups of all places, sorted as one list. A row begins with the given
// number of cells for its place.
func (s *summary) rows(visits []visit[inventory.Place, metrics.Scan], place, columns int) iter.Seq[[]render.Cell] {
	type row struct {
		*groups.Group[[]groups.Count]
		of *inventory.Place
	}
	var rows []row
	for i := range visits {
		v := &visits[i]
		if v.seen == nil {
			continue
		}
		for _, g := range v.seen.Groups {
			rows = append(rows, row{g, &v.place})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return s.layout.Compare(a.Group, b.Group) })
	return func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, place+columns)
		for _, r := range rows {
			if place > 0 {
				copy(cells, placeCells(r.of))
			}
			if s.layout.Fill(cells[place:], r.Group); !yield(cells) {
				return
			}
		}
	}
}
