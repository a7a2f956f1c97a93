package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// oneSegment returns the segment that the only operand names.
func oneSegment(c *cli.Context) (sysv.Segment, error) {
	args, err := command.Operands(c, 1, 1, "REF")
	if err != nil {
		return -1, err
	}
	return findSegment(args[0])
}

// findSegment returns the segment that a REF names.
func findSegment(arg string) (sysv.Segment, error) {
	r, err := parseRef(arg)
	if err != nil {
		return -1, err
	}
	return r.Segment()
}

// parseRef reads a REF of a segment. The kind in front, as gipcs prints it, may stay.
func parseRef(arg string) (ref.Ref, error) {
	r, err := ref.Parse(strings.TrimPrefix(arg, "shm:"))
	if err == nil && r.Form == ref.ByName {
		err = fmt.Errorf("%q is the name of a POSIX object; gshm works with System V segments", arg)
	}
	// A REF may be written as it should be, but its file be missing.
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return r, err
	}
	return r, command.Usage(err)
}

// eachSegment calls do for the segment of every operand. It goes on behind one
// that fails; a REF that can not be read fails before anything is done.
func eachSegment(c *cli.Context, do func(sysv.Segment) error) error {
	args, err := command.Operands(c, 1, -1, "REF")
	if err != nil {
		return err
	}
	refs := make([]ref.Ref, len(args))
	for i, arg := range args {
		if refs[i], err = parseRef(arg); err != nil {
			return err
		}
	}
	failed := false
	for _, r := range refs {
		segment, err := r.Segment()
		if err == nil {
			err = do(segment)
		}
		if err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, err)
			failed = true
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}
