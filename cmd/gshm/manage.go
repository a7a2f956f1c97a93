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
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Usage: "permission bits, `OCTAL`"},
			&cli.StringFlag{Name: "uid", Aliases: []string{"u"}, Usage: "owner, a number or a name (`USER`)"},
			&cli.StringFlag{Name: "gid", Aliases: []string{"g"}, Usage: "group, a number or a name (`GROUP`)"},
		},
		Action: set,
	}
}

func set(c *cli.Context) error {
	change, err := ownershipChange(c)
	if err != nil {
		return err
	}
	segment, err := oneSegment(c)
	if err != nil {
		return err
	}
	info, err := statSegment(segment)
	if err != nil {
		return err
	}
	return segment.Set(change(info.Ownership()))
}

// ownershipChange returns what the flags make of an ownership.
func ownershipChange(c *cli.Context) (func(sysv.Ownership) sysv.Ownership, error) {
	var (
		mode     uint32
		uid, gid uint32
		err      error
	)
	if !c.IsSet("mode") && !c.IsSet("uid") && !c.IsSet("gid") {
		return nil, command.Usagef("nothing to change; give --mode, --uid or --gid")
	}
	if c.IsSet("mode") {
		if mode, err = modeFlag(c, "mode"); err != nil {
			return nil, err
		}
	}
	if c.IsSet("uid") {
		if uid, err = uidOf(c.String("uid")); err != nil {
			return nil, command.Usagef("--uid: %w", err)
		}
	}
	if c.IsSet("gid") {
		if gid, err = gidOf(c.String("gid")); err != nil {
			return nil, command.Usagef("--gid: %w", err)
		}
	}
	return func(o sysv.Ownership) sysv.Ownership {
		if c.IsSet("mode") {
			o.Mode = fs.FileMode(mode)
		}
		if c.IsSet("uid") {
			o.UID = uid
		}
		if c.IsSet("gid") {
			o.GID = gid
		}
		return o
	}, nil
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
