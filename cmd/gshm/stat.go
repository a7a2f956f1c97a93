//go:build linux

package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/render/boxed"
)

func statCommand() *cli.Command {
	return &cli.Command{
		Name:         "stat",
		Usage:        "show all that the kernel knows of segments, or of POSIX objects",
		ArgsUsage:    "REF...",
		BashComplete: command.CompleteWith(everyRef),
		Flags:        command.FormatFlags("plain"),
		Action:       stat,
	}
}

func stat(c *cli.Context) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	all, err := places(c)
	if err != nil {
		return err
	}
	columns := all[0].columns()
	for _, p := range all {
		if p.columns()[0].Name != columns[0].Name {
			return command.Usagef("segments and POSIX objects have different fields; show them one kind at a time")
		}
	}
	var rows [][]render.Cell
	failed := eachIn(c, all, func(o object) error {
		row, err := o.stat()
		if err == nil {
			rows = append(rows, row)
		}
		return err
	})
	if len(rows) == 0 && failed != nil {
		return failed
	}
	if err := command.WriteRecords(c, format, columns, slices.Values(rows), render.Options{DrawTable: boxed.Draw}); err != nil {
		return err
	}
	return failed
}

// columnsOf returns columns of these names.
func columnsOf(names ...string) []render.Column {
	columns := make([]render.Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns
}
