package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/account"
	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/detail"
	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/limits"
	"github.com/sysvipc/gipc/internal/removal"
	"github.com/sysvipc/gipc/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show everything about objects: who is attached, who waits, what they hold, whether they are needed",
		ArgsUsage: "KIND:REF...",
		Description: "What the caller may not look into is counted as hidden, never guessed. A likely holder is\n" +
			"the process that used the semaphore last.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "hex", Usage: "show the first `N` bytes of a segment; attaching it changes its lpid, atime and dtime"},
			&cli.StringFlag{Name: "messages", Value: "100", Usage: "show at most `N` messages of a queue"},
			&cli.BoolFlag{Name: "identify", Usage: "attach an orphaned segment, read-only, to see which program it belongs to", DisableDefaultText: true},
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
	want     inventory.Want
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
	if err != nil {
		return err
	}
	failed := false
	for i, sel := range selected {
		if i > 0 && !forMachines(format) {
			fmt.Fprintln(c.App.Writer)
		}
		// What is known of the object is shown even if a part could not be had.
		record, err := s.record(sel)
		if err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, err)
			failed = true
		}
		if record == nil {
			continue
		}
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
	s.messages = int(messages)
	if c.Bool("identify") {
		s.want = inventory.WantContents
	}
	s.limits, err = limits.Read()
	return s, err
}

// record returns all that is to be shown of an object; nil if there is none.
func (s *showing) record(sel named) (*detail.Record, error) {
	target, err := removal.Find(sel.kind, sel.ref)
	if err != nil {
		return nil, err
	}
	// A possible deadlock may go through any set, so all of a kind are looked at.
	inv, err := inventory.Collect(inventory.Options{Kinds: []sysv.Kind{sel.kind}, Want: detail.Want(sel.kind) | s.want})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(inv.Objects, func(o inventory.Object) bool { return o.ID() == target.ID })
	if i < 0 {
		return nil, fmt.Errorf("%v was removed meanwhile", target)
	}
	subject := detail.Subject{Object: &inv.Objects[i], Inventory: inv, Names: s.names, Limits: s.limits}
	switch {
	case sel.kind == sysv.Shm && s.hex > 0:
		subject.Contents, err = firstBytes(sysv.Segment(target.ID), s.hex)
	case sel.kind == sysv.Msg:
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
