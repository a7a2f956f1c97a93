//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
)

func createCommand() *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "make a segment or a POSIX object, or find the one that has the key or the name, and print its identifier or name",
		ArgsUsage: "REF|private",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "size", Aliases: []string{"s"}, Usage: "`SIZE` in bytes, such as 1MiB (needed)"},
			&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Value: "0600", Usage: "permission bits, `OCTAL`"},
			&cli.BoolFlag{Name: "exclusive", Aliases: []string{"x"}, Usage: "fail if the key or the name is taken", DisableDefaultText: true},
			command.HugeFlag(),
			&cli.BoolFlag{Name: "noreserve", Usage: "set no swap space aside; do not ask whether /dev/shm can hold it", DisableDefaultText: true},
			&cli.BoolFlag{Name: "populate", Usage: "make all pages present at once", DisableDefaultText: true},
			&cli.BoolFlag{Name: "lock", Usage: "keep the pages out of swap space", DisableDefaultText: true},
		},
		Action: create,
	}
}

func create(c *cli.Context) error {
	args, err := command.Operands(c, 1, 1, "REF or private")
	if err != nil {
		return err
	}
	p := private()
	if args[0] != "private" {
		if p, err = parseRef(args[0]); err != nil {
			return err
		}
	}
	if !c.IsSet("size") {
		return command.Usagef("--size is missing")
	}
	size, err := command.SizeFlag(c, "size")
	if err == nil && size == 0 {
		err = command.Usagef("--size: an object has at least 1 byte")
	}
	if err != nil {
		return err
	}
	mode, err := command.ModeFlag(c, "mode")
	if err != nil {
		return err
	}
	huge, err := command.HugePages(c)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c.Context)
	defer stop()
	// A POSIX object is taken away when it is finished; a second signal ends at once, and
	// then it never had a name.
	context.AfterFunc(ctx, stop)
	o, made, err := p.create(creation{
		size:      size,
		mode:      mode,
		exclusive: c.Bool("exclusive"),
		huge:      huge,
		noReserve: c.Bool("noreserve"),
		populate:  c.Bool("populate"),
		lock:      c.Bool("lock"),

		interrupted: ctx.Done(),
	})
	if err != nil {
		return err
	}
	if err = ctx.Err(); err != nil {
		err = errInterrupted
	} else {
		_, err = fmt.Fprintln(c.App.Writer, o.ref())
	}
	if err != nil && made { // nobody knows its name
		err = errors.Join(err, o.remove())
	}
	return err
}
