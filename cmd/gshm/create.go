package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/explain"
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

func createCommand() *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "make a segment, or find the one that has the key, and print its identifier",
		ArgsUsage: "REF|private",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "size", Aliases: []string{"s"}, Usage: "`SIZE` in bytes, such as 1MiB (needed)"},
			&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Value: "0600", Usage: "permission bits, `OCTAL`"},
			&cli.BoolFlag{Name: "exclusive", Aliases: []string{"x"}, Usage: "fail if the key is taken", DisableDefaultText: true},
			command.HugeFlag(),
			&cli.BoolFlag{Name: "noreserve", Usage: "set no swap space aside", DisableDefaultText: true},
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
	key, err := creationKey(args[0])
	if err != nil {
		return err
	}
	if !c.IsSet("size") {
		return command.Usagef("--size is missing")
	}
	size, err := command.SizeFlag(c, "size")
	if err == nil && size == 0 {
		err = command.Usagef("--size: a segment has at least 1 byte")
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
	options := sysv.SegmentOptions{
		Mode:      mode,
		Exclusive: c.Bool("exclusive"),
		HugePages: huge,
		NoReserve: c.Bool("noreserve"),
	}
	segment, made, err := openOrCreate(key, size, options)
	if err != nil {
		return &explain.Creation{Size: size, Huge: options.HugePages != 0, Err: err}
	}
	err = prepare(segment, c.Bool("populate"), c.Bool("lock"))
	if err == nil {
		_, err = fmt.Fprintln(c.App.Writer, int(segment))
	}
	if err != nil && made { // nothing half-made stays, nor what nobody knows the name of
		err = errors.Join(err, segment.Remove())
	}
	return err
}

// creationKey returns the key that an object is to be made with.
func creationKey(arg string) (sysv.Key, error) {
	if arg == "private" {
		return sysv.Private, nil
	}
	r, err := parseRef(arg)
	if err == nil && r.Form == ref.ByID {
		err = command.Usagef("%q is an identifier, which the kernel chooses; write key:%d, ftok:PATH or private", arg, r.ID)
	}
	return r.Key, err
}

// openOrCreate also tells whether it was this call that made the segment.
func openOrCreate(key sysv.Key, size int64, o sysv.SegmentOptions) (segment sysv.Segment, made bool, err error) {
	exclusive := o
	exclusive.Exclusive = true
	segment, err = sysv.CreateSegment(key, size, exclusive)
	if errors.Is(err, fs.ErrExist) && !o.Exclusive {
		segment, err = sysv.CreateSegment(key, size, o)
		return segment, false, err
	}
	return segment, err == nil, err
}

func prepare(segment sysv.Segment, populate, lock bool) error {
	if lock {
		if err := segment.Lock(); err != nil {
			return err
		}
	}
	if !populate {
		return nil
	}
	mem, err := segment.Attach(sysv.AttachOptions{})
	if err != nil {
		return err
	}
	if err := mem.Prefault(); err != nil {
		err = fmt.Errorf("segment %d can not be populated: %w", segment, err)
		return errors.Join(err, mem.Detach())
	}
	return mem.Detach()
}
