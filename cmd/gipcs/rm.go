package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/internal/removal"
	"github.com/sysvipc/gipc/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

func rmCommand() *cli.Command {
	return &cli.Command{
		Name:      "rm",
		Usage:     "remove objects",
		ArgsUsage: "KIND:REF...",
		Description: "Every argument is read before anything is removed; one that is wrong stops all. Then\n" +
			"one that can't be removed does not stop the others.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "shmem-id", Aliases: []string{"m"}, Usage: "remove the segment `ID`"},
			&cli.StringSliceFlag{Name: "shmem-key", Aliases: []string{"M"}, Usage: "remove the segment with `KEY`"},
			&cli.StringSliceFlag{Name: "semaphore-id", Aliases: []string{"s"}, Usage: "remove the semaphore set `ID`"},
			&cli.StringSliceFlag{Name: "semaphore-key", Aliases: []string{"S"}, Usage: "remove the semaphore set with `KEY`"},
			&cli.StringSliceFlag{Name: "queue-id", Aliases: []string{"q"}, Usage: "remove the message queue `ID`"},
			&cli.StringSliceFlag{Name: "queue-key", Aliases: []string{"Q"}, Usage: "remove the message queue with `KEY`"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be removed, and remove nothing", DisableDefaultText: true},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say what is removed", DisableDefaultText: true},
		},
		Action:       rm,
		BashComplete: command.CompleteWith(everyRef),
	}
}

// A selection is an object that the command line names.
type selection struct {
	kind sysv.Kind
	ref  ref.Ref
}

func rm(c *cli.Context) error {
	selected, err := selections(c)
	if err != nil {
		return err
	}
	failed := false
	fail := func(err error) {
		command.Report(c.App.ErrWriter, c.App.Name, err)
		failed = true
	}
	var plan removal.Plan
	for _, s := range selected {
		target, err := removal.Find(s.kind, s.ref)
		if err != nil {
			fail(err)
			continue
		}
		plan = append(plan, target)
	}
	for _, target := range plan {
		if err := carryOut(c, target); err != nil {
			fail(err)
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}

func carryOut(c *cli.Context, target removal.Target) error {
	switch {
	case c.Bool("dry-run"):
		_, err := fmt.Fprintf(c.App.Writer, "would remove %v key %v\n", target, target.Key)
		return err
	case c.Bool("verbose"):
		if err := target.Remove(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.App.Writer, "removed %v key %v\n", target, target.Key)
		return err
	default:
		return target.Remove()
	}
}

// selections reads what the flags and the operands name.
func selections(c *cli.Context) ([]selection, error) {
	var selected []selection
	for _, f := range []struct {
		flag string
		kind sysv.Kind
		read func(string) (ref.Ref, error)
	}{
		{"shmem-id", sysv.Shm, readID},
		{"shmem-key", sysv.Shm, readKey},
		{"semaphore-id", sysv.Sem, readID},
		{"semaphore-key", sysv.Sem, readKey},
		{"queue-id", sysv.Msg, readID},
		{"queue-key", sysv.Msg, readKey},
	} {
		for _, text := range c.StringSlice(f.flag) {
			r, err := f.read(text)
			if err != nil {
				return nil, command.Usagef("--%s: %w", f.flag, err)
			}
			selected = append(selected, selection{f.kind, r})
		}
	}
	args, err := command.Operands(c, 0, -1, "KIND:REF")
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		kind, r, err := ref.ParseKind(arg)
		if err != nil {
			return nil, command.Usage(err)
		}
		selected = append(selected, selection{kind, r})
	}
	if len(selected) == 0 {
		return nil, command.Usagef("nothing to remove; name it as shm:REF, sem:REF or msg:REF")
	}
	return selected, nil
}

func readID(s string) (ref.Ref, error) {
	if _, err := units.ParseID(s); err != nil {
		return ref.Ref{}, err
	}
	return ref.Parse("id:" + s)
}

func readKey(s string) (ref.Ref, error) { return ref.Parse("key:" + s) }

// everyRef returns all objects as REFs with their kind.
func everyRef() (refs []string) {
	inv, err := inventory.Collect(inventory.Options{})
	if err != nil {
		return nil
	}
	for i := range inv.Objects {
		refs = append(refs, fmt.Sprintf("%v:%d", inv.Objects[i].Kind, inv.Objects[i].ID()))
	}
	return refs
}
