//go:build linux

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
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

const showHelp = `Prints the verdict with its reasons, then the object's attributes, users,
waiters and contents. Processes that cannot be inspected are counted as
hidden. A likely holder is the process that last used the semaphore. The
messages of a POSIX queue are only counted.`

func showCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show everything about objects, and whether they are needed",
		ArgsUsage:   "KIND:REF...",
		Description: showHelp,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "hex", Usage: "show the first `N` bytes of memory; changes its times"},
			&cli.StringFlag{Name: "messages", Value: "100", Usage: "show at most `N` messages of a queue"},
			&cli.BoolFlag{Name: "identify", Usage: "attach an orphan to identify it; changes its times", DisableDefaultText: true},
			&cli.BoolFlag{Name: "force", Usage: "with --hex: even if reading changes the verdict", DisableDefaultText: true},
			selectflags.WithMessages(), selectflags.IgnoreHidden(), namespaceFlag(),
		}, command.FormatFlags("plain"), hostFlags()),
		Action:       onHosts(showOnHosts, inNamespace(show)),
		BashComplete: command.CompleteWith(everyRef),
	}
}

// A showOptions holds the flags of gipcs show.
type showOptions struct {
	hex      int64
	force    bool // show contents even if that changes the verdict
	messages int
	identify bool
	evidence inventory.Options // what counts for the verdict
	names    *account.Directory
	removers removers
	limits   []limits.Limit
}

func show(c *cli.Context) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	s, err := readShowOptions(c)
	if err != nil {
		return err
	}
	args, err := command.Operands(c, 1, -1, "KIND:REF")
	if err != nil {
		return err
	}
	selected, err := parseRefs(args)
	if err == nil {
		err = checkVisible(c, kindsIn(selected))
	}
	if err != nil {
		return err
	}
	shown, failed := false, false
	if s.limits, err = readLimits(c, kindsIn(selected)); err != nil {
		command.Report(c.App.ErrWriter, c.App.Name, err)
		failed = true
	}
	for _, sel := range selected {
		// Show what is known about the object even if some of it is missing.
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

func readShowOptions(c *cli.Context) (*showOptions, error) {
	s := &showOptions{names: account.New(), removers: readRemovers(c)}
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
	s.messages, s.identify, s.force = int(messages), c.Bool("identify"), c.Bool("force")
	s.evidence = inventory.Options{HiddenIdle: c.Bool("ignore-hidden"), WithMessages: c.Bool("with-messages"), Missing: missing(c)}
	return s, nil
}

// record returns everything to show about an object; nil if it does not exist.
func (s *showOptions) record(sel kindRef) (*detail.Record, error) {
	target, err := removal.Find(sel.kind, sel.ref)
	if err != nil {
		return nil, err
	}
	// Any set can be part of a deadlock, and the verdict may depend on objects of other
	// kinds.
	options := s.evidence
	options.Kinds, options.Want = families([]ref.Kind{sel.kind}), detail.Want(sel.kind)
	options.Partial = true
	options.Memory = func(o *inventory.Object) bool { return o.Ref() == target.Ref() }
	if s.identify {
		options.Contents = options.Memory
	}
	inv, err := inventory.CollectOne(target.Ref(), options)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(inv.Objects, func(o inventory.Object) bool { return o.Ref() == target.Ref() })
	if i < 0 {
		return nil, fmt.Errorf("%v was removed meanwhile", target)
	}
	subject := detail.Subject{
		Object: &inv.Objects[i], Inventory: inv, Names: s.names, Limits: s.limits,
		RemovedBy: s.removers.of(&inv.Objects[i], s.names),
	}
	switch {
	case sel.kind == ref.Shm && s.hex > 0:
		subject.Contents, err = s.segmentBytes(subject.Object)
	case sel.kind == ref.PShm && s.hex > 0:
		subject.Contents, err = firstBytesOf(target.Name, s.hex)
	case sel.kind == ref.Msg:
		subject.Messages, err = detail.ReadMessages(sysv.Queue(target.ID), s.messages)
	}
	record := detail.New(subject)
	return &record, err
}

// segmentBytes returns the first bytes of a segment, unless reading them would destroy
// it, or the evidence that it is needed.
func (s *showOptions) segmentBytes(o *inventory.Object) ([]byte, error) {
	if last := o.LosesEvidence(); last != nil && !s.force {
		return nil, fmt.Errorf("%v: its contents are not shown: reading them would make gipcs its last user, "+
			"and its verdict depends on the current one, %s[%d]; --force shows them", o.Ref(), last.Comm, last.PID)
	}
	if forced, err := destroysDetached(); o.Segment.NAttch == 0 && (forced || err != nil) {
		return nil, errors.Join(err, fmt.Errorf("%v: its contents are not shown: with the sysctl kernel.shm_rmid_forced "+
			"the kernel would destroy it when gipcs detaches it", o.Ref()))
	}
	return firstBytes(sysv.Segment(o.ID()), s.hex)
}

func destroysDetached() (bool, error) {
	proc, err := procfs.Open(procfs.Root)
	if err != nil {
		return false, err
	}
	defer proc.Close()
	return proc.DestroysDetached()
}

func firstBytes(segment sysv.Segment, n int64) ([]byte, error) {
	mem, err := segment.Attach(&sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(n, int64(mem.Len())))
	_, err = mem.ReadAt(b, 0)
	return b, errors.Join(err, mem.Detach())
}

// firstBytesOf reads a POSIX object as a file, which cannot fault.
func firstBytesOf(name string, n int64) ([]byte, error) {
	object, err := posix.OpenObject(name, posix.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(object.File(), 0, n))
	return b, errors.Join(err, object.Close())
}
