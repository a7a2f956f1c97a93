//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

const lsHelp = `All kinds of objects, unless some are chosen. POSIX objects are those in the
caller's /dev/shm and /dev/mqueue; with -N and -A those that the processes of
other namespaces see.
`

func lsCommand() *cli.Command {
	return &cli.Command{
		Name:        "ls",
		Usage:       "list objects",
		Description: lsHelp + "\n" + selectHelp + "\nColumns for -o and --sort:\n" + columnHelp() + "\n\n" + byHelp() + "\n" + fieldHelp(),
		Flags: slices.Concat(selectflags.Kinds(), selectflags.Flags(), []cli.Flag{
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "show these columns; +`LIST` adds to the usual ones"},
				Words:      columnNames, List: true,
			},
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "sort", Usage: "sort by the columns `LIST`; -NAME reverses one"},
				Words:      columnNames, List: true,
			},
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "by", Usage: "sum up by the columns `LIST`, as in owner,verdict"},
				Words:      groups.Columns, List: true,
			},
			&cli.BoolFlag{Name: "no-headings", Usage: "omit the headings", DisableDefaultText: true},
			&cli.BoolFlag{Name: "human", Aliases: []string{"b"}, Usage: "show sizes as 4K or 1.5M", DisableDefaultText: true},
			&cli.BoolFlag{Name: "removed", Usage: "list what is removed but still held, and by whom", DisableDefaultText: true},
			namespaceFlag(), allNamespacesFlag(),
		}, metricsFlags(), hostFlags()),
		Action: onHosts(lsOnHosts, inNamespace(ls)),
	}
}

// columnNames returns the columns of objects and of groups.
func columnNames() (names []string) {
	for _, c := range fields.All() {
		names = append(names, c.Name)
	}
	for _, m := range groups.Measures() {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

func columnHelp() string {
	var help strings.Builder
	for _, c := range fields.All() {
		help.WriteString(helpLine(c))
	}
	return strings.TrimSuffix(help.String(), "\n")
}

func helpLine(c fields.Column) string { return fmt.Sprintf("   %-12s%s\n", c.Name, c.About) }

// kindsOf returns the kinds that the flags choose, none if no flag does.
func kindsOf(c *cli.Context) ([]ref.Kind, error) {
	words := selectflags.ChosenKinds(c)
	if len(words) == 0 {
		return nil, nil
	}
	expr, err := selection.OfKinds(words...)
	if err != nil {
		return nil, command.Usagef("--kind: %w", err)
	}
	condition, err := selection.Parse(expr)
	if err != nil {
		return nil, err
	}
	return selection.Selection{condition}.Kinds(), nil
}

// A listing holds the options of gipcs ls.
type listing struct {
	kinds    []ref.Kind // none: all
	format   render.Format
	want     inventory.Want
	list     fields.List
	order    fields.Order
	selected selection.Selection
	names    *account.Directory

	incomplete bool
}

func ls(c *cli.Context) error {
	if c.IsSet("by") {
		return lsBy(c)
	}
	l, err := readListing(c)
	if err != nil {
		return err
	}
	options := render.Options{NoHeadings: c.Bool("no-headings"), HumanSizes: c.Bool("human")}
	if c.Bool("all-namespaces") {
		return l.everywhere(c, options)
	}
	inv, err := l.collect(c)
	if err != nil {
		return err
	}
	l.order.Sort(inv, l.names)
	if err := l.narrow(c, fields.Families(inv.Objects)); err != nil {
		return err
	}
	return failedIf(l.incomplete, command.WriteRows(c, l.format, l.columns(c), l.list.Rows(inv, l.names), options))
}

// columns returns the columns. A narrow terminal may omit some of them, unless the user
// chose them.
func (l *listing) columns(c *cli.Context) []render.Column {
	columns := l.list.Columns()
	if c.IsSet("output") {
		return columns
	}
	return fields.Narrow(columns)
}

// everywhere lists the objects of all places.
func (l *listing) everywhere(c *cli.Context, options render.Options) error {
	visits, err := visitPlaces(c, l.collect)
	if err != nil {
		return err
	}
	kinds := fields.Families(nil)
	for _, v := range visits {
		if v.seen != nil {
			kinds = append(kinds, fields.Families(v.seen.Objects)...)
		}
	}
	if err := l.narrow(c, kinds); err != nil {
		return err
	}
	columns := slices.Concat(placeColumns(), l.columns(c))
	return failedIf(l.incomplete, command.WriteRows(c, l.format, columns, allRows(l.list, l.order, visits, l.names), options))
}

func readListing(c *cli.Context) (*listing, error) {
	if m, err := readMetricsOptions(c); err != nil {
		return nil, err
	} else if m != nil {
		return nil, command.Usagef("--format prometheus prints sums, not objects; add --by kind,verdict,owner or other columns")
	}
	l := &listing{names: account.New()}
	err := l.read(c)
	if err != nil {
		return nil, err
	}
	if l.format, err = command.FormatOf(c); err != nil {
		return nil, err
	}
	if l.list, l.order, err = layout(c, l.kinds, l.format); err != nil {
		return nil, command.Usage(err)
	}
	l.want = l.list.Want() | l.order.Want()
	return l, nil
}

// read reads the flags that choose the objects.
func (l *listing) read(c *cli.Context) (err error) {
	if _, err := command.Operands(c, 0, 0, "none: gipcs show describes one object"); err != nil {
		return err
	}
	if l.kinds, err = kindsOf(c); err != nil {
		return err
	}
	l.selected, err = selectionOf(c)
	return err
}

// collect returns the selected objects that the command sees.
func (l *listing) collect(c *cli.Context) (*inventory.Inventory, error) {
	inv, err := collectSelected(c, l.selected, l.want)
	if err != nil {
		return nil, err
	}
	l.incomplete = reportUnselected(c, inv, l.selected) || l.incomplete
	fields.ExpectNames(inv, l.names)
	choice := l.selected.Choose(inv, l.names)
	// Other kinds were collected only for the verdicts. With -A, another place lists them.
	visible := visibleKinds(c)
	inv.Objects = slices.DeleteFunc(choice.Selected, func(o inventory.Object) bool { return !slices.Contains(visible, o.Kind) })
	l.incomplete = reportFailed(c, choice) || l.incomplete
	return inv, nil
}

// narrow drops the columns that none of the objects has, unless kinds were chosen.
func (l *listing) narrow(c *cli.Context, kinds []ref.Kind) (err error) {
	if len(l.kinds) == 0 && !forMachines(l.format) {
		l.list, _, err = layout(c, kinds, l.format)
	}
	return command.Usage(err)
}

// failedIf returns err or, if the results are incomplete, the exit status for that.
func failedIf(incomplete bool, err error) error {
	if err == nil && incomplete {
		return command.Exit(command.Failed)
	}
	return err
}

// layout parses which columns to show for objects of some kinds, or of all, and how to
// sort them.
func layout(c *cli.Context, kinds []ref.Kind, format render.Format) (list fields.List, order fields.Order, err error) {
	if len(kinds) == 0 {
		kinds = visibleKinds(c)
	}
	list = fields.Default(kinds, forMachines(format))
	if c.Bool("removed") {
		if list, err = fields.Choose("+pids,program", list); err != nil {
			return nil, nil, err
		}
	}
	if c.IsSet("output") {
		if list, err = fields.Choose(c.String("output"), list); err != nil {
			return nil, nil, err
		}
	}
	if c.IsSet("sort") {
		order, err = fields.ParseOrder(c.String("sort"))
	}
	return list, order, err
}

// forMachines reports whether a format is meant for programs rather than people.
func forMachines(f render.Format) bool {
	return f == render.JSON || f == render.NDJSON || f == render.CSV
}
