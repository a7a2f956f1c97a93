package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show everything about objects: who is attached, maps them or has them open, who waits, what they hold, whether they are needed",
		ArgsUsage: "KIND:REF...",
		Description: "What the caller may not look into is counted as hidden, never guessed. A likely holder is\n" +
			"the process that used the semaphore last. The messages of a POSIX queue are counted; the\n" +
			"kernel gives them only to who takes them.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "hex", Usage: "show the first `N` bytes of a segment or a POSIX object; that changes its times, and a segment's lpid"},
			&cli.StringFlag{Name: "messages", Value: "100", Usage: "show at most `N` messages of a queue"},
			&cli.BoolFlag{Name: "identify", Usage: "attach the segment, if it is an orphan, read-only, to see which program it belongs to; that changes its times and lpid", DisableDefaultText: true},
			namespaceFlag(),
		}, command.FormatFlags("plain")...),
		Action:       inNamespace(show),
		BashComplete: command.CompleteWith(everyRef),
	}
}

// A showing is what gipcs show was asked for.
type showing struct {
	hex      int64
	messages int
	identify bool
	names    *account.Directory
	limits   []limits.Limit
}

func show(c *cli.Context) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	s, err := readShowing(c)
	if err != nil {
		return err
	}
	args, err := command.Operands(c, 1, -1, "KIND:REF")
	if err != nil {
		return err
	}
	selected, err := parseRefs(args)
	if err == nil {
		err = checkNamespace(c, selected)
	}
	if err == nil {
		s.limits, err = limits.Read(kindsIn(selected))
	}
	if err != nil {
		return err
	}
	shown, failed := false, false
	for _, sel := range selected {
		// What is known of the object is shown even if a part could not be had.
		record, err := s.record(sel)
		if err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, err)
			failed = true
		}
		if record == nil {
			continue
		}
		if shown && !forMachines(format) {
			fmt.Fprintln(c.App.Writer)
		}
		shown = true
		if err := command.WriteRecord(c, format, record.Columns, record.Cells); err != nil {
			return err
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}

func readShowing(c *cli.Context) (*showing, error) {
	s := &showing{names: account.New()}
	var err error
	if c.IsSet("hex") {
		if s.hex, err = command.SizeFlag(c, "hex"); err != nil {
			return nil, err
		}
	}
	messages, err := units.ParseUint("number of messages", c.String("messages"), math.MaxInt32)
	if err != nil {
		return nil, command.Usagef("--messages: %w", err)
	}
	s.messages, s.identify = int(messages), c.Bool("identify")
	return s, nil
}

// record returns all that is to be shown of an object; nil if there is none.
func (s *showing) record(sel named) (*detail.Record, error) {
	target, err := removal.Find(sel.kind, sel.ref)
	if err != nil {
		return nil, err
	}
	// A possible deadlock may go through any set, so all of a kind are looked at.
	options := inventory.Options{Kinds: []ref.Kind{sel.kind}, Want: detail.Want(sel.kind)}
	if s.identify {
		options.Contents = func(o *inventory.Object) bool { return o.Ref() == target.Ref() }
	}
	inv, err := inventory.Collect(options)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(inv.Objects, func(o inventory.Object) bool { return o.Ref() == target.Ref() })
	if i < 0 {
		return nil, fmt.Errorf("%v was removed meanwhile", target)
	}
	subject := detail.Subject{Object: &inv.Objects[i], Inventory: inv, Names: s.names, Limits: s.limits}
	switch {
	case sel.kind == ref.Shm && s.hex > 0:
		subject.Contents, err = firstBytes(sysv.Segment(target.ID), s.hex)
	case sel.kind == ref.PShm && s.hex > 0:
		subject.Contents, err = firstBytesOf(target.Name, s.hex)
	case sel.kind == ref.Msg:
		subject.Messages, err = detail.ReadMessages(sysv.Queue(target.ID), s.messages)
	}
	record := detail.New(subject)
	return &record, err
}

func firstBytes(segment sysv.Segment, n int64) ([]byte, error) {
	mem, err := segment.Attach(sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(n, int64(mem.Len())))
	_, err = mem.ReadAt(b, 0)
	return b, errors.Join(err, mem.Detach())
}

// firstBytesOf reads a POSIX object as a file: that can not fault.
func firstBytesOf(name string, n int64) ([]byte, error) {
	object, err := posix.OpenObject(name, posix.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(object.File(), 0, n))
	return b, errors.Join(err, object.Close())
}
