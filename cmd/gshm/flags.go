package main

import (
	"fmt"
	"os/user"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/internal/units"
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

// parseRef reads a REF of a segment.
func parseRef(arg string) (ref.Ref, error) {
	r, err := ref.Parse(arg)
	if err == nil && r.Form == ref.ByName {
		err = fmt.Errorf("%q is the name of a POSIX object; gshm works with System V segments", arg)
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

// sizeFlag returns the value of a flag that holds a size.
func sizeFlag(c *cli.Context, name string) (int64, error) {
	n, err := units.ParseSize(c.String(name))
	if err != nil {
		return 0, command.Usagef("--%s: %w", name, err)
	}
	return n, nil
}

// modeFlag returns the value of a flag that holds permission bits.
func modeFlag(c *cli.Context, name string) (uint32, error) {
	mode, err := units.ParseMode(c.String(name))
	if err != nil {
		return 0, command.Usagef("--%s: %w", name, err)
	}
	return mode, nil
}

// A hugeValue is the value of --huge[=SIZE].
type hugeValue struct{ text string }

// Set is given "true" by package flag for a flag without a value.
func (h *hugeValue) Set(s string) error {
	h.text = s
	return nil
}

func (h *hugeValue) String() string { return h.text }

// IsBoolFlag says that the value may be left out.
func (h *hugeValue) IsBoolFlag() bool { return true }

// hugeFlag returns what --huge means for sysv.SegmentOptions.
func hugeFlag(c *cli.Context) (int64, error) {
	switch text := c.Generic("huge").(*hugeValue).text; text {
	case "":
		return 0, nil
	case "true":
		return sysv.DefaultHugePages, nil
	default:
		size, err := units.ParseSize(text)
		if err == nil && (size < 1 || size&(size-1) != 0) {
			err = fmt.Errorf("%q is no power of two", text)
		}
		if err != nil {
			return 0, command.Usagef("--huge: %w", err)
		}
		return size, nil
	}
}

// uidOf returns a user's number, given by number or by name.
func uidOf(s string) (uint32, error) {
	return accountOf(s, "user", func() (string, error) {
		u, err := user.Lookup(s)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// gidOf returns a group's number, given by number or by name.
func gidOf(s string) (uint32, error) {
	return accountOf(s, "group", func() (string, error) {
		g, err := user.LookupGroup(s)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func accountOf(s, what string, lookup func() (string, error)) (uint32, error) {
	digits := s
	if _, err := strconv.Atoi(s); err != nil {
		if digits, err = lookup(); err != nil {
			return 0, fmt.Errorf("there is no %s %q", what, s)
		}
	}
	// The highest number is -1 for the kernel, which means none.
	id, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, fmt.Errorf("%s id %s is not between 0 and 4294967294", what, digits)
	}
	return uint32(id), nil
}
