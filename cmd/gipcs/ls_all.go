//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A visit is what was seen in a place, nil if it could not be entered.
type visit[P, T any] struct {
	place P
	seen  *T
}

// visitPlaces calls look in every place, with a context for it.
func visitPlaces[T any](c *cli.Context, look func(*cli.Context) (*T, error)) ([]visit[inventory.Place, T], error) {
	places, hidden, err := inventory.Places("")
	if err != nil {
		return nil, err
	}
	inode := func(p inventory.Place) uint64 { return p.Inode }
	return visitAll(c, places, &hidden, inode, func(p inventory.Place) (seen *T, err error) {
		err = p.Do(func(s inventory.Sight) (err error) {
			seen, err = look(seeing(c, p, s.Present()))
			return explain.Now(err)
		})
		return seen, err
	})
}

// visitAll calls look for every place. It reports on standard error how many namespaces
// could not be entered, and skips places that have gone away.
func visitAll[P, T any](c *cli.Context, places []P, hidden *inventory.Hidden, inode func(P) uint64, look func(P) (*T, error)) ([]visit[P, T], error) {
	var visits []visit[P, T]
	all, closed := make(map[uint64]bool), make(map[uint64]bool)
	for _, p := range places {
		v := visit[P, T]{place: p}
		all[inode(p)] = true
		var err error
		v.seen, err = look(p)
		switch {
		case errors.Is(err, fs.ErrPermission):
			v.seen = nil
			closed[inode(p)] = true
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		visits = append(visits, v)
	}
	reportHidden(c, len(closed), len(all), hidden)
	return visits, nil
}

// reportHidden reports which parts of all namespaces could not be seen.
func reportHidden(c *cli.Context, closed, all int, hidden *inventory.Hidden) {
	if closed > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s: %d of %d namespaces could not be entered: that takes CAP_SYS_ADMIN, or --namespace if you created their user namespace\n", c.App.Name, closed, all)
	}
	if hidden.Any() {
		command.Report(c.App.ErrWriter, c.App.Name, errors.New(hidden.String()))
	}
}

// placeColumns are the columns for the place of a row.
func placeColumns() []render.Column {
	return []render.Column{
		{Name: "namespace", Heading: "NAMESPACE", Align: render.Right},
		{Name: "namespace_container", Heading: "NAMESPACE_CONTAINER"},
		{Name: "namespace_pid", Heading: "NAMESPACE_PID", Align: render.Right},
	}
}

// placeCells returns the cells for placeColumns.
func placeCells(p *inventory.Place) []render.Cell {
	pid := render.Unknown()
	if n := p.Process(); n > 0 {
		pid = render.Int(int64(n))
	}
	return []render.Cell{render.Uint(p.Inode), detail.Container(p.Container), pid}
}

// allRows returns the rows of all places, sorted as one list.
func allRows(list fields.List, order fields.Order, visits []visit[inventory.Place, inventory.Inventory], names *account.Directory) iter.Seq[[]render.Cell] {
	type row struct {
		fields.Row
		of *inventory.Place
	}
	var rows []row
	for i := range visits {
		v := &visits[i]
		if v.seen == nil {
			continue
		}
		for j := range v.seen.Objects {
			rows = append(rows, row{fields.Row{Object: &v.seen.Objects[j], Inventory: v.seen, Names: names}, &v.place})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return order.Compare(&a.Row, &b.Row) })
	return func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, len(placeColumns())+len(list))
		for i := range rows {
			r := &rows[i]
			n := copy(cells, placeCells(r.of))
			if list.Fill(cells[n:], &r.Row); !yield(cells) {
				return
			}
		}
	}
}
