//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/backup"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "recreate objects saved by gipcs rm --backup",
		ArgsUsage: "DIR [KIND:ID|KIND:/NAME...]",
		Description: "Verifies the whole backup before it makes anything. An object gets back its\n" +
			"key or name, owner, mode and contents and, where the kernel allows it, its\n" +
			"identifier, but not its creator and times. Objects that still exist, or were\n" +
			"already restored, are left alone, so an interrupted restore can be repeated.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "verify the backup and list what would be restored", DisableDefaultText: true},
			namespaceFlag(),
		},
		Action: inNamespace(restore),
	}
}

func restore(c *cli.Context) error {
	args, err := command.Operands(c, 1, -1, "DIR")
	if err != nil {
		return err
	}
	store, err := backup.Open(args[0])
	if err != nil {
		return err
	}
	defer store.Close()
	store.Progress = statusline.New(c.App.ErrWriter).Bytes()
	entries, fragments, err := store.Entries()
	if err != nil {
		return err
	}
	if len(entries)+len(fragments) == 0 {
		return fmt.Errorf("%s holds no backup", args[0])
	}
	for _, f := range fragments {
		fmt.Fprintf(c.App.ErrWriter, "%s: %s is incomplete; its object was not removed\n", c.App.Name, command.OneLine(string(f)))
	}
	if entries, err = chosen(entries, args[1:]); err != nil {
		return err
	}
	for _, e := range entries {
		if err := checkVisible(c, []ref.Kind{e.Ref().Kind}); err != nil {
			return err
		}
	}
	step := restoreEntry
	if c.Bool("dry-run") {
		step = foreseeEntry
	}
	failed := false
	for _, e := range entries {
		said, err := step(store, e)
		if err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, fmt.Errorf("%v was not restored: %s", e, explain.Error(err)))
			failed = true
			continue
		}
		if _, err := fmt.Fprintln(c.App.Writer, term.Escape(said)); err != nil {
			return err
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}

// chosen returns the entries that the operands name, or all without operands.
func chosen(entries []*backup.Entry, names []string) ([]*backup.Entry, error) {
	if len(names) == 0 {
		return entries, nil
	}
	var list []*backup.Entry
	for _, name := range names {
		i := slices.IndexFunc(entries, func(e *backup.Entry) bool { return e.String() == name })
		if i < 0 {
			return nil, command.Usagef("the backup has no %q", name)
		}
		list = append(list, entries[i])
	}
	return list, nil
}

// restoreEntry restores an object and returns what to print about it.
func restoreEntry(store *backup.Store, e *backup.Entry) (string, error) {
	id, made, err := store.Restore(e)
	if !made {
		return there(e, id), err
	}
	return as("restored "+e.String(), e, id), err
}

// foreseeEntry returns what restoring an object would print.
func foreseeEntry(store *backup.Store, e *backup.Entry) (string, error) {
	id, isThere, err := store.Foresee(e)
	switch {
	case isThere:
		return there(e, id), err
	case e.Ref().Kind.POSIX():
		return "would restore " + e.String(), err
	default:
		return fmt.Sprintf("would restore %v key %#08x", e, e.Key), err
	}
}

func there(e *backup.Entry, id int) string { return as(e.String()+" already exists", e, id) }

// as appends the object's new name if it changed.
func as(said string, e *backup.Entry, id int) string {
	if id == e.ID {
		return said
	}
	return said + fmt.Sprintf(" as %s:%d", e.Kind, id)
}
