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
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A visit is what was seen in a namespace; nil if it could not be entered.
type visit[T any] struct {
	namespace inventory.Namespace
	seen      *T
}

// visitAll calls look in every IPC namespace. It reports how many could not be entered
// on standard error, and skips those that disappear meanwhile.
func visitAll[T any](c *cli.Context, look func() (*T, error)) ([]visit[T], error) {
	namespaces, hidden, err := inventory.Namespaces("")
	if err != nil {
		return nil, err
	}
	var visits []visit[T]
	closed := 0
	for _, ns := range namespaces {
		v := visit[T]{namespace: ns}
		err := ns.Do(func() (err error) {
			v.seen, err = look()
			return err
		})
		switch {
		case errors.Is(err, fs.ErrPermission):
			v.seen = nil
			closed++
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		visits = append(visits, v)
	}
	reportHidden(c, closed, len(namespaces), &hidden)
	return visits, nil
}

// reportHidden reports which parts of all namespaces could not be seen.
func reportHidden(c *cli.Context, closed, all int, hidden *inventory.Hidden) {
	if closed > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s: %d of %d namespaces could not be entered: that takes CAP_SYS_ADMIN\n", c.App.Name, closed, all)
	}
	if hidden.Any() {
		command.Report(c.App.ErrWriter, c.App.Name, errors.New(hidden.String()))
	}
}

// allColumns returns a listing's columns after those of the namespace.
func allColumns(list fields.List) []render.Column {
	return append([]render.Column{
		{Name: "namespace", Heading: "NAMESPACE", Align: render.Right},
		{Name: "namespace_container", Heading: "NAMESPACE_CONTAINER"},
	}, list.Columns()...)
}

// allRows returns the rows of all namespaces, sorted as one list.
func allRows(list fields.List, order fields.Order, visits []visit[inventory.Inventory], names *account.Directory) iter.Seq[[]render.Cell] {
	type row struct {
		fields.Row
		of *inventory.Namespace
	}
	var rows []row
	for i := range visits {
		v := &visits[i]
		if v.seen == nil {
			continue
		}
		for j := range v.seen.Objects {
			rows = append(rows, row{fields.Row{Object: &v.seen.Objects[j], Inventory: v.seen, Names: names}, &v.namespace})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return order.Compare(&a.Row, &b.Row) })
	return func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, 2+len(list))
		for i := range rows {
			r := &rows[i]
			cells[0], cells[1] = render.Uint(r.of.Inode), detail.Container(r.of.Container)
			if list.Fill(cells[2:], &r.Row); !yield(cells) {
				return
			}
		}
	}
}
