//go:build linux

package main

import (
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/sysv"
)

func setCommand() *cli.Command {
	return &cli.Command{
		Name:         "set",
		Usage:        "change the owner or the permission bits of an object",
		ArgsUsage:    "REF",
		BashComplete: command.CompleteWith(everyRef),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Usage: "permission bits, `OCTAL`"},
		}, command.OwnerFlags()...),
		Action: set,
	}
}

func set(c *cli.Context) error {
	change, err := command.Owner(c)
	if err != nil {
		return err
	}
	if change == nil && !c.IsSet("mode") {
		return command.Usagef("nothing to change; give --mode, --uid or --gid")
	}
	var mode fs.FileMode
	if c.IsSet("mode") {
		if mode, err = command.ModeFlag(c, "mode"); err != nil {
			return err
		}
	}
	o, err := oneObject(c)
	if err != nil {
		return err
	}
	return o.Set(func(owner *sysv.Ownership) {
		if change != nil {
			change(owner)
		}
		if c.IsSet("mode") {
			owner.Mode = mode
		}
	})
}

func lockCommand() *cli.Command {
	return &cli.Command{
		Name:         "lock",
		Usage:        "keep the pages of a segment out of swap space",
		ArgsUsage:    "REF...",
		BashComplete: command.CompleteWith(everyRef),
		Action:       func(c *cli.Context) error { return eachSegment(c, shm.Segment.Lock) },
	}
}

// eachSegment calls do for the segment of every operand. A POSIX object is a command-line
// error.
func eachSegment(c *cli.Context, do func(shm.Segment) error) error {
	refs, err := parseRefs(c)
	if err != nil {
		return err
	}
	for _, r := range refs {
		if r.Kind() == ref.PShm {
			return errLock()
		}
	}
	return eachObject(c, refs, func(o shm.Object) error { return do(o.(shm.Segment)) })
}

func errLock() error {
	return command.Usagef("a POSIX object cannot be locked as a segment can (SHM_LOCK): mlock(2) holds for as long as a process has it mapped")
}

func unlockCommand() *cli.Command {
	return &cli.Command{
		Name:         "unlock",
		Usage:        "let the pages of a segment be swapped out again",
		ArgsUsage:    "REF...",
		BashComplete: command.CompleteWith(everyRef),
		Action:       func(c *cli.Context) error { return eachSegment(c, shm.Segment.Unlock) },
	}
}

func rmCommand() *cli.Command {
	return &cli.Command{
		Name:         "rm",
		Usage:        "remove segments and POSIX objects",
		ArgsUsage:    "REF...",
		BashComplete: command.CompleteWith(everyRef),
		Description:  "A segment that is still attached loses its key at once, and its memory with\nthe last attachment. A POSIX object loses its name.",
		Action:       rm,
	}
}

func rm(c *cli.Context) error {
	refs, err := parseRefs(c)
	if err != nil {
		return err
	}
	return eachObject(c, refs, shm.Object.Remove)
}
