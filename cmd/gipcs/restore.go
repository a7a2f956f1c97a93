package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/backup"
	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/explain"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "make objects again that gipcs rm --backup has saved",
		ArgsUsage: "DIR [KIND:ID|KIND:/NAME...]",
		Description: "Everything in the backup is verified before anything is made. Objects get their key or name,\n" +
			"owner, mode and contents, and where the kernel allows it their identifier; who made them\n" +
			"and when they were used can't be set. What was saved but is still there, or was\n" +
			"restored before, is left as it is, so that a restore that was killed can be run again.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "verify, and say what would be made", DisableDefaultText: true},
		},
		Action: restore,
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
	store.Progress = progress(c)
	entries, fragments, err := store.Entries()
	if err != nil {
		return err
	}
	if len(entries)+len(fragments) == 0 {
		return fmt.Errorf("%s holds no backup", args[0])
	}
	for _, f := range fragments {
		fmt.Fprintf(c.App.ErrWriter, "%s: %s was not finished; what it is of was not removed\n", c.App.Name, command.OneLine(string(f)))
	}
	if entries, err = chosen(entries, args[1:]); err != nil {
		return err
	}
	failed := false
	for _, e := range entries {
		if err := restoreEntry(c, store, e); err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, fmt.Errorf("%v was not restored: %s", e, explain.Error(err)))
			failed = true
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}

// chosen returns the entries that the operands name, all if there are none.
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

func restoreEntry(c *cli.Context, store *backup.Store, e *backup.Entry) error {
	if c.Bool("dry-run") {
		said := "would restore " + e.String()
		if !e.Ref().Kind.POSIX() {
			said += fmt.Sprintf(" key %#08x", e.Key)
		}
		_, err := fmt.Fprintln(c.App.Writer, command.OneLine(said))
		return err
	}
	id, made, err := store.Restore(e)
	if err != nil {
		return err
	}
	said := "restored " + e.String()
	if !made {
		said = e.String() + " is there already"
	}
	if id != e.ID {
		said += fmt.Sprintf(" as %s:%d", e.Kind, id)
	}
	_, err = fmt.Fprintln(c.App.Writer, command.OneLine(said))
	return err
}
