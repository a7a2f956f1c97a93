//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/snapshot"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

const snapshotHelp = `Writes all objects, or the selected ones, with their verdicts, programs and
users, for gipcs diff. The format is one JSON object per line: docs/json.md.

Without FILE, or with -, it writes to standard output. FILE replaces an older
snapshot only once it is complete; it is compressed if its name ends in .gz.
--directory adds a file named by host, namespace and time, and prints its
path. --keep and --max-files remove only snapshots that you took on this host
in this IPC namespace.
`

func snapshotCommand() *cli.Command {
	return &cli.Command{
		Name:        "snapshot",
		Usage:       "save what is there now, for gipcs diff",
		ArgsUsage:   "[FILE]",
		Description: snapshotHelp + "\n" + selectHelp + "\n" + fieldHelp(),
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "directory", Aliases: []string{"d"}, Usage: "add a file to `DIR`, which is made if necessary"},
			&cli.StringFlag{Name: "keep", Usage: "with --directory: remove those older than `DURATION`"},
			&cli.StringFlag{Name: "max-files", Usage: "with --directory: keep only the newest `N` snapshots"},
		}, selectflags.Kinds(), selectflags.Flags(), []cli.Flag{namespaceFlag()}),
		Action: inNamespace(takeSnapshot),
	}
}

// A retention says which old snapshots to remove; 0 is no limit.
type retention struct {
	keep time.Duration
	most int
}

func takeSnapshot(c *cli.Context) error {
	file, old, err := readSnapshotArgs(c)
	if err != nil {
		return err
	}
	selected, err := selectionOf(c)
	if err != nil {
		return err
	}
	s, err := look(c, selected, snapshot.Selection{WithMessages: c.Bool("with-messages"), IgnoreHidden: c.Bool("ignore-hidden")})
	if err != nil {
		return err
	}
	if c.IsSet("directory") {
		return failedIf(s.incomplete, s.addTo(c, c.String("directory"), old))
	}
	return failedIf(s.incomplete, s.writeTo(c, file))
}

func readSnapshotArgs(c *cli.Context) (file string, old retention, err error) {
	args, err := command.Operands(c, 0, 1, "FILE")
	if err != nil {
		return "", old, err
	}
	if len(args) == 1 {
		file = args[0]
	}
	inDirectory := c.IsSet("directory")
	switch {
	case inDirectory && len(args) == 1:
		return "", old, command.Usagef("either FILE or --directory, not both")
	case inDirectory && c.String("directory") == "":
		return "", old, command.Usagef("--directory: the name is empty")
	case len(args) == 1 && file == "":
		return "", old, command.Usagef("the name of FILE is empty")
	case !inDirectory && (c.IsSet("keep") || c.IsSet("max-files")):
		return "", old, command.Usagef("--keep and --max-files need --directory")
	}
	if c.IsSet("keep") {
		if old.keep, err = units.ParseDuration(c.String("keep")); err == nil && old.keep == 0 {
			err = errors.New("0 would keep nothing; use --max-files 1 to keep only the newest snapshot")
		}
		if err != nil {
			return "", old, command.Usagef("--keep: %w", err)
		}
	}
	if c.IsSet("max-files") {
		n, err := units.ParseUint("number of files", c.String("max-files"), 1<<31-1)
		if err == nil && n == 0 {
			err = errors.New("0 would keep nothing; the least is 1")
		}
		if err != nil {
			return "", old, command.Usagef("--max-files: %w", err)
		}
		old.most = int(n)
	}
	return file, old, nil
}

// A sighting is what a snapshot taken now contains.
type sighting struct {
	header     *snapshot.Header
	inventory  *inventory.Inventory
	names      *account.Directory
	incomplete bool // objects of the requested kinds may be missing
}

// look takes a snapshot of the selected objects, judged under the flags that how holds.
func look(c *cli.Context, selected selection.Selection, how snapshot.Selection) (*sighting, error) {
	h, err := snapshot.Here()
	if err != nil {
		return nil, err
	}
	s := &sighting{header: h, names: account.New()}
	options := inventory.Options{Want: snapshot.Want(), HiddenIdle: how.IgnoreHidden, WithMessages: how.WithMessages}
	if s.inventory, err = collectWith(c, selected, options); err != nil {
		return nil, err
	}
	s.incomplete = reportUnselected(c, s.inventory, selected)
	choice := selected.Choose(s.inventory, s.names)
	s.incomplete = reportFailed(c, choice) || s.incomplete
	kinds := selected.Kinds()
	s.inventory.Objects = slices.DeleteFunc(choice.Selected, func(o inventory.Object) bool { return !slices.Contains(kinds, o.Kind) })
	fields.ExpectNames(s.inventory, s.names)

	h.Program = command.Version
	h.Selection = snapshot.Selection{WithMessages: how.WithMessages, IgnoreHidden: how.IgnoreHidden}
	for _, condition := range selected {
		h.Selection.Conditions = append(h.Selection.Conditions, condition.String())
	}
	visible := visibleKinds(c)
	h.Describe(s.inventory, slices.DeleteFunc(kinds, func(k ref.Kind) bool { return !slices.Contains(visible, k) }), choice.Err())
	return s, nil
}

func (s *sighting) write(w io.Writer) error {
	return snapshot.Write(w, s.header, s.inventory, s.names)
}

func (s *sighting) writeCompressed(w io.Writer) error {
	return snapshot.WriteCompressed(w, s.header, s.inventory, s.names)
}

// writeTo writes the snapshot to a file, or to the command's output.
func (s *sighting) writeTo(c *cli.Context, file string) error {
	if file == "" || file == "-" {
		return s.write(c.App.Writer)
	}
	write := s.write
	if strings.HasSuffix(file, ".gz") {
		write = s.writeCompressed
	}
	const private = 0o600
	return safepath.Replace(file, private, mayReplace, write)
}

// mayReplace returns an error unless a file is a snapshot or empty.
func mayReplace(old *os.File) error {
	if info, err := old.Stat(); err != nil || info.Size() == 0 {
		return err
	}
	if _, err := snapshot.ReadHeader(old); err != nil {
		return errors.New("the file exists and is no snapshot that this gipcs can read; remove it first, or choose another name")
	}
	return nil
}

// addTo adds the snapshot to a directory, removes old ones, and prints its path.
func (s *sighting) addTo(c *cli.Context, path string, old retention) error {
	d, err := snapshot.MakeDirectory(path, s.header)
	if err != nil {
		return err
	}
	defer d.Close()
	name, err := d.Save(s.writeCompressed)
	if err != nil {
		return err
	}
	if command.IsTerminal(c.App.Writer) {
		name = command.OneLine(name)
	}
	if _, err := fmt.Fprintln(c.App.Writer, name); err != nil {
		return err
	}
	if old == (retention{}) {
		return nil
	}
	return d.Prune(old.keep, old.most)
}
