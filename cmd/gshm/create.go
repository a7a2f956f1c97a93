//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/shm"
)

func createCommand() *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "create or find an object, and print its identifier or name",
		ArgsUsage: "REF|private",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "size", Aliases: []string{"s"}, Usage: "`SIZE` in bytes, such as 1MiB (needed)"},
			&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Value: "0600", Usage: "permission bits, `OCTAL`"},
			&cli.BoolFlag{Name: "exclusive", Aliases: []string{"x"}, Usage: "fail if the key or the name is taken", DisableDefaultText: true},
			command.HugeFlag(),
			&cli.BoolFlag{Name: "noreserve", Usage: "reserve no swap space; do not check the room in /dev/shm", DisableDefaultText: true},
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
	r := shm.Private()
	if args[0] != "private" {
		if r, err = parseRef(args[0]); err != nil {
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
	if err := creatable(r, huge, c.Bool("lock")); err != nil {
		return err
	}
	ctx, stop := command.Interruptible(c.Context)
	defer stop()
	// A second signal ends the program at once. A POSIX object that is not complete has no
	// name yet, and vanishes then.
	context.AfterFunc(ctx, stop)
	o, made, err := r.Create(ctx, shm.CreateOptions{
		Size:      size,
		Mode:      mode,
		Exclusive: c.Bool("exclusive"),
		HugePages: huge,
		NoReserve: c.Bool("noreserve"),
		Populate:  c.Bool("populate"),
		Lock:      c.Bool("lock"),
	})
	if err != nil {
		return err
	}
	if err = ctx.Err(); err == nil {
		_, err = fmt.Fprintln(c.App.Writer, o.Ref())
	}
	if err != nil && made { // its name was not printed
		err = errors.Join(err, o.Remove())
	}
	return err
}

// creatable returns a command-line error if no such object can be created.
func creatable(r shm.Ref, huge int64, lock bool) error {
	id, isID := r.ID()
	isPOSIX := r.Kind() == ref.PShm
	switch {
	case isID:
		return command.Usagef("%q is an identifier, which the kernel chooses; write key:%d, ftok:PATH or private", r, id)
	case isPOSIX && huge != 0:
		return command.Usagef("--huge: a POSIX object is in /dev/shm, which has ordinary pages; a segment can have huge ones")
	case isPOSIX && lock:
		return errLock()
	}
	return nil
}
