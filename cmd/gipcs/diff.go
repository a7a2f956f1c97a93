//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/snapshot"
)

const diffHelp = `Lists the objects that came, went, grew or shrank between two snapshots of
gipcs snapshot, or since one of them, most growth first. --by sums up and
adds rates: which program leaks, and how fast?

   gipcs diff before.gz --by program        since then
   gipcs diff before.gz after.gz            between two snapshots
   gipcs diff --directory DIR 1d 2h         from a day ago to two hours ago
   gipcs diff --directory DIR 2026-01-31T15:00:00Z --by owner,kind

With --directory, A and B are times: RFC 3339, or how long ago; the last
snapshot before each is used. B is now if it is missing. Rates are per hour
since the machine's boot clock, which setting the time does not change.
`

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:        "diff",
		Usage:       "show what came, went and grew since a snapshot",
		ArgsUsage:   "A [B|now]",
		Description: diffHelp,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "directory", Aliases: []string{"d"}, Usage: "take the snapshots from `DIR`, by their times"},
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "by", Usage: "sum up by the columns `LIST`, such as program or owner"},
				Words:      groups.Columns, List: true,
			},
			&cli.BoolFlag{Name: "no-headings", Usage: "omit the headings", DisableDefaultText: true},
			&cli.BoolFlag{Name: "human", Aliases: []string{"b"}, Usage: "show sizes as 4K or 1.5M", DisableDefaultText: true},
			namespaceFlag(),
		}, command.FormatFlags("plain")),
		Action: inNamespace(diff),
	}
}

// A comparison holds the options of gipcs diff.
type comparison struct {
	*cli.Context
	format render.Format
	by     []string
	older  string
	newer  string // "" for now
}

const now = "now"

func diff(c *cli.Context) error {
	d, err := readComparison(c)
	if err != nil {
		return err
	}
	before, after, incomplete, err := d.read()
	if err != nil {
		return err
	}
	changes, err := snapshot.Compare(before, after)
	if err != nil {
		return err
	}
	for _, note := range changes.Notes {
		command.Report(c.App.ErrWriter, c.App.Name, errors.New(note))
	}
	options := render.Options{NoHeadings: c.Bool("no-headings"), HumanSizes: c.Bool("human")}
	t := snapshot.ChangeTable(changes)
	if len(d.by) > 0 {
		t = snapshot.SumTable(changes, d.by)
	}
	if !forMachines(d.format) {
		t.Narrow()
	}
	return failedIf(incomplete, command.WriteRows(c, d.format, t.Columns, slices.Values(t.Rows), options))
}

func readComparison(c *cli.Context) (*comparison, error) {
	args, err := command.Operands(c, 1, 2, "A [B]")
	if err != nil {
		return nil, err
	}
	d := &comparison{Context: c, older: args[0]}
	if len(args) == 2 && args[1] != now {
		d.newer = args[1]
	}
	switch {
	case d.older == now:
		return nil, command.Usagef("the first is the older one, and cannot be now; write ./now for a file of that name")
	case slices.Contains(args, ""):
		return nil, command.Usagef("the name of a snapshot is empty")
	case c.IsSet("directory") && c.String("directory") == "":
		return nil, command.Usagef("--directory: the name is empty")
	case d.older == "-" && d.newer == "-":
		return nil, command.Usagef("only one of the snapshots can be read from standard input")
	}
	if d.format, err = command.FormatOf(c); err != nil {
		return nil, err
	}
	if c.IsSet("by") {
		by, err := groups.Parse(c.String("by"))
		if err != nil {
			return nil, command.Usagef("--by: %w", err)
		}
		d.by = by.Names()
	}
	return d, nil
}

// read reads both snapshots, or takes the second one now.
func (d *comparison) read() (before, after *snapshot.Snapshot, incomplete bool, err error) {
	open := openSnapshot
	if d.IsSet("directory") {
		dir, err := d.openDirectory()
		if err != nil {
			return nil, nil, false, err
		}
		defer dir.Close()
		open = func(text string) (*os.File, error) {
			m, err := snapshot.ParseMoment(text)
			if err != nil {
				return nil, command.Usage(err)
			}
			return dir.Find(m)
		}
	}
	older, err := open(d.older)
	if err != nil {
		return nil, nil, false, err
	}
	defer older.Close()
	if d.newer == "" {
		if before, err = d.readFile(older); err != nil {
			return nil, nil, false, err
		}
		after, incomplete, err = d.takeNow(before)
		return before, after, incomplete, err
	}
	newer, err := open(d.newer)
	if err != nil {
		return nil, nil, false, err
	}
	defer newer.Close()
	if newer.Name() == older.Name() && newer != os.Stdin {
		return nil, nil, false, fmt.Errorf("%s and %s are the same snapshot, %s", d.older, d.newer, older.Name())
	}
	if before, err = d.readFile(older); err != nil {
		return nil, nil, false, err
	}
	after, err = d.readFile(newer)
	return before, after, false, err
}

func (d *comparison) openDirectory() (*snapshot.Directory, error) {
	own, err := snapshot.Here()
	if err != nil {
		return nil, err
	}
	return snapshot.OpenDirectory(d.String("directory"), own)
}

func openSnapshot(name string) (*os.File, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	return os.Open(name)
}

func (d *comparison) readFile(file *os.File) (*snapshot.Snapshot, error) {
	s, err := snapshot.Read(file, d.by)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimPrefix(file.Name(), "/dev/"), err)
	}
	return s, nil
}

// takeNow takes a snapshot of the same selection as before, and reads it like a file, so
// that both snapshots are treated alike.
func (d *comparison) takeNow(before *snapshot.Snapshot) (after *snapshot.Snapshot, incomplete bool, err error) {
	var selected selection.Selection
	for _, text := range before.Selection.Conditions {
		condition, err := selection.Parse(text)
		if err != nil {
			return nil, false, fmt.Errorf("%s: line 1: condition %q: %w", d.older, text, err)
		}
		selected = append(selected, condition)
	}
	s, err := look(d.Context, selected, before.Selection)
	if err != nil {
		return nil, false, err
	}
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(s.write(w)) }()
	after, err = snapshot.Read(r, d.by)
	return after, s.incomplete, err
}
