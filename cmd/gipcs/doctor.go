//go:build linux

package main

import (
	"iter"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/doctor"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "show what limits gipcs and IPC programs here, and what to do",
		Description: "Each check is ok, warn (something cannot be seen or done), fail (something\n" +
			"basic does not work) or unknown. Run it as the user who has the problem.\n\n" +
			"The exit status is 1 if a check fails; with --strict, unless all are ok.",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "explain", Usage: "show only what is not ok, in full", DisableDefaultText: true},
			&cli.BoolFlag{Name: "strict", Usage: "exit with 1 unless every check is ok", DisableDefaultText: true},
		}, command.FormatFlags("plain")...),
		Action: examine,
	}
}

func examine(c *cli.Context) error {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return err
	}
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	list := doctor.Read().Examine()
	worst := doctor.Worst(list)
	failed := worst == doctor.Fail || c.Bool("strict") && worst != doctor.OK
	write := command.WriteRows
	if c.Bool("explain") {
		write = command.WriteRecords
		list = slices.DeleteFunc(list, func(x doctor.Finding) bool { return x.Status == doctor.OK })
	}
	return failedIf(failed, write(c, format, findingColumns(), findingRows(list), render.Options{}))
}

func findingColumns() []render.Column {
	return []render.Column{
		{Name: "check", Heading: "CHECK"},
		{Name: "status", Heading: "STATUS"},
		{Name: "found", Heading: "FOUND"},
		{Name: "remedy", Heading: "TO DO", Rank: 1},
		{Name: "meaning", Heading: "MEANING", Rank: 2},
	}
}

func findingRows(list []doctor.Finding) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for _, x := range list {
			status := render.Text(x.Status.String())
			if x.Status == doctor.Warn || x.Status == doctor.Fail {
				status = status.Warn()
			}
			if !yield([]render.Cell{
				render.Text(x.Check), status, render.Text(x.Found), textOrNone(x.Remedy), render.Text(x.Meaning),
			}) {
				return
			}
		}
	}
}
