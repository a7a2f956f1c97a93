//go:build linux

package main

import (
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/graph"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

const graphHelp = `Draws processes and objects as a graph: who maps an object, has it open,
waits on it, or operated on it last. Processes and objects that are alike are
one node with their number.
   gipcs graph --format svg >ipc.svg
   gipcs graph | dot -Tpng >ipc.png
   gipcs graph --by unit --format mermaid

Red: a ring of processes, each of which waits without a timeout for a
semaphore that the next one operated on last. It is a deadlock if these
semaphores are locks that only their holders release.
`

func graphCommand() *cli.Command {
	return &cli.Command{
		Name:        "graph",
		Usage:       "draw which processes use which objects",
		Description: graphHelp + "\n" + selectHelp + seeFields,
		Flags: slices.Concat([]cli.Flag{
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "by", Value: "alike", Usage: "`GROUP`: " + strings.Join(graph.Words(), " ")},
				Words:      graph.Words,
			},
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "dot", Usage: "`FORMAT`: " + strings.Join(graphFormats(), " ")},
				Words:      graphFormats,
			},
		}, selectflags.Kinds(), selectflags.Flags(), []cli.Flag{namespaceFlag()}),
		Action: inNamespace(drawGraph),
	}
}

func graphFormats() []string { return []string{"dot", "mermaid", "svg"} }

func drawGraph(c *cli.Context) error {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return err
	}
	by, err := groupOf(c)
	if err != nil {
		return err
	}
	format := c.String("format")
	if !slices.Contains(graphFormats(), format) {
		return command.Usagef("unknown format %q: want one of %s", format, strings.Join(graphFormats(), " "))
	}
	selected, err := selectionOf(c)
	if err != nil {
		return err
	}
	names := account.New()
	inv, incomplete, err := collectVisible(c, selected, graph.Want(by), names)
	if err != nil {
		return err
	}
	g := graph.New(inv, by, names)
	write := map[string]func(io.Writer) error{
		"dot": g.WriteDot, "mermaid": g.WriteMermaid, "svg": func(w io.Writer) error { return g.WriteSVG(w, true) },
	}[format]
	return failedIf(incomplete, write(c.App.Writer))
}

// groupOf returns what --by says.
func groupOf(c *cli.Context) (graph.By, error) {
	by, ok := graph.Parse(c.String("by"))
	if !ok {
		return 0, command.Usagef("--by: there is no group %q; the groups are %s", c.String("by"), strings.Join(graph.Words(), " "))
	}
	return by, nil
}

// collectVisible collects the selected objects. incomplete is set if some may be missing.
func collectVisible(c *cli.Context, selected selection.Selection, want inventory.Want, names *account.Directory) (inv *inventory.Inventory, incomplete bool, err error) {
	inv, err = collectSelected(c, selected, want)
	if err != nil {
		return nil, false, err
	}
	incomplete = reportUnselected(c, inv, selected)
	choice := selected.Choose(inv, names)
	incomplete = reportFailed(c, choice) || incomplete
	kinds := selected.Kinds()
	inv.Objects = slices.DeleteFunc(choice.Selected, func(o inventory.Object) bool { return !slices.Contains(kinds, o.Kind) })
	fields.ExpectNames(inv, names)
	return inv, incomplete, nil
}
