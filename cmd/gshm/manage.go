package main

import (
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/sysv"
)

func setCommand() *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "change the owner or the permission bits of a segment",
		ArgsUsage: "REF",
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
	segment, err := oneSegment(c)
	if err != nil {
		return err
	}
	info, err := statSegment(segment)
	if err != nil {
		return err
	}
	owner := info.Ownership()
	if change != nil {
		change(&owner)
	}
	if c.IsSet("mode") {
		owner.Mode = mode
	}
	return segment.Set(owner)
}

func lockCommand() *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "keep the pages of a segment out of swap space",
		ArgsUsage: "REF...",
		Action:    func(c *cli.Context) error { return eachSegment(c, sysv.Segment.Lock) },
	}
}

func unlockCommand() *cli.Command {
	return &cli.Command{
		Name:      "unlock",
		Usage:     "let the pages of a segment be swapped out again",
		ArgsUsage: "REF...",
		Action:    func(c *cli.Context) error { return eachSegment(c, sysv.Segment.Unlock) },
	}
}

func rmCommand() *cli.Command {
	return &cli.Command{
		Name:        "rm",
		Usage:       "remove segments",
		ArgsUsage:   "REF...",
		Description: "A segment that is still attached loses its key at once, and its memory with the\nlast attachment.",
		Action:      func(c *cli.Context) error { return eachSegment(c, sysv.Segment.Remove) },
	}
}
