package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/account"
	"github.com/sysvipc/gipc/internal/detail"
	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/listing"
	"github.com/sysvipc/gipc/internal/render"
)

// A part is what a listing of all namespaces shows of one of them.
type part struct {
	namespace inventory.Namespace
	inv       *inventory.Inventory
}

// collectAll calls collect in every IPC namespace. Those that may not be entered are
// counted on standard error, and those that went away meanwhile left out.
func collectAll(c *cli.Context, collect func() (*inventory.Inventory, error)) ([]part, error) {
	namespaces, hidden, err := inventory.Namespaces("")
	if err != nil {
		return nil, err
	}
	var parts []part
	closed := 0
	for _, ns := range namespaces {
		p := part{namespace: ns}
		err := ns.Do(func() (err error) {
			p.inv, err = collect()
			return err
		})
		switch {
		case errors.Is(err, fs.ErrPermission):
			closed++
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			parts = append(parts, p)
		}
	}
	reportHidden(c, closed, len(namespaces), hidden)
	return parts, nil
}

// reportHidden says what of all namespaces could not be seen.
func reportHidden(c *cli.Context, closed, all, hidden int) {
	if closed > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s: %d of %d namespaces may not be entered; it takes CAP_SYS_ADMIN\n", c.App.Name, closed, all)
	}
	if hidden > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s: processes whose namespace may not be known: %d\n", c.App.Name, hidden)
	}
}

// allColumns puts in front of a listing's columns to which namespace a row belongs.
func allColumns(list listing.List) []render.Column {
	return append([]render.Column{
		{Name: "namespace", Heading: "NAMESPACE", Align: render.Right},
		{Name: "namespace_container", Heading: "NAMESPACE_CONTAINER"},
	}, list.Columns()...)
}

func allRows(list listing.List, parts []part, names *account.Directory) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		var row []render.Cell
		for _, p := range parts {
			where := []render.Cell{render.Uint(p.namespace.Inode), detail.Container(p.namespace.Container)}
			for cells := range list.Rows(p.inv, names) {
				row = append(append(row[:0], where...), cells...)
				if !yield(row) {
					return
				}
			}
		}
	}
}
