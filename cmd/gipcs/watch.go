//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/cmd/internal/watch"
)

const watchHelp = `Prints a line for each event until it is interrupted:
   present    was there at the start (--initial)
   made       was created
   marked     will be destroyed with its last attachment
   removed    is gone; the kernel does not say who removed it
   attached   a segment has more attachments
   detached   a segment has fewer attachments
   waiting    a thread waits longer than --wait
   limit      a limit is used above --limit, or below it again
   verdict    the verdict changed (--events +verdict)

Every --interval it looks at all objects and compares. Whatever begins and
ends between two looks leaves no event, except for POSIX objects, whose names
the kernel reports. Looking takes a tenth of a processor at most: if a look
costs more, the next one comes later.

--exec PROGRAM [ARG...] runs a program for each event, in order, without a
shell. The event is on its standard input, as --format ndjson prints it, and
in its environment: GIPCS_EVENT, GIPCS_KIND, GIPCS_ID and so on.
   gipcs watch --limit 80 --events limit --exec logger -- -t ipc
`

func watchCommand() *cli.Command {
	return &cli.Command{
		Name:        "watch",
		Usage:       "report what happens to objects",
		ArgsUsage:   "[ARG...]",
		Description: watchHelp + "\n" + selectHelp + seeFields,
		Flags: slices.Concat([]cli.Flag{
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "events", Usage: "report only these events; +`LIST` adds events"},
				Words:      watch.Words, List: true,
			},
			&cli.StringFlag{Name: "interval", Aliases: []string{"i"}, Value: "1s", Usage: "look every `DURATION`"},
			&cli.StringFlag{Name: "count", Aliases: []string{"n"}, Usage: "end after `N` events"},
			&cli.BoolFlag{Name: "initial", Usage: "begin with the objects that are there", DisableDefaultText: true},
			&cli.StringFlag{Name: "wait", Usage: "report threads that wait longer than `DURATION`"},
			&cli.StringSliceFlag{Name: "limit", Usage: "report limits of which over `PERCENT` are in use"},
			&cli.StringFlag{Name: "exec", Usage: "run `PROGRAM` with the arguments for each event"},
			&cli.StringFlag{Name: "exec-timeout", Value: "1m", Usage: "end PROGRAM after `DURATION`"},
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "plain", Usage: "`FORMAT`: plain ndjson"},
				Words:      watchFormats,
			},
		}, selectflags.Kinds(), selectflags.Flags(), []cli.Flag{namespaceFlag()}),
		Action: inNamespace(watchObjects),
	}
}

func watchFormats() []string { return []string{"plain", "ndjson"} }

// watchOptions holds what the flags of gipcs watch say.
type watchOptions struct {
	events   map[watch.What]bool
	interval time.Duration
	count    uint64 // 0: no end
	wait     time.Duration
	limit    *uint64
	program  []string // nil: none
	timeout  time.Duration
	ndjson   bool
	selected selection.Selection
}

func watchObjects(c *cli.Context) error {
	o, err := readWatchOptions(c)
	if err != nil {
		return err
	}
	parent := c.Context
	if parent == nil {
		parent = context.Background()
	}
	ctx, stop := command.Interruptible(parent)
	defer stop()
	w := &watcher{Context: c, ctx: ctx, watchOptions: o, names: account.New(), said: make(map[string]bool)}
	return w.run()
}

func readWatchOptions(c *cli.Context) (o watchOptions, err error) {
	o.program, err = readProgram(c)
	if err != nil {
		return o, err
	}
	switch c.String("format") {
	case "plain":
	case "ndjson":
		o.ndjson = true
	default:
		return o, command.Usagef("unknown format %q: want one of %s", c.String("format"), strings.Join(watchFormats(), " "))
	}
	if o.selected, err = selectionOf(c); err != nil {
		return o, err
	}
	if c.IsSet("wait") {
		if o.wait, err = positive(c, "wait"); err != nil {
			return o, err
		}
	}
	if o.interval, err = positive(c, "interval"); err != nil {
		return o, err
	}
	if o.timeout, err = positive(c, "exec-timeout"); err != nil {
		return o, err
	}
	if o.limit, err = percentFlag(c, "limit"); err != nil {
		return o, err
	}
	if c.IsSet("count") {
		if o.count, err = units.ParseUint("number of events", c.String("count"), math.MaxInt64); err == nil && o.count == 0 {
			err = errors.New("the least number of events is 1")
		}
		if err != nil {
			return o, command.Usagef("--count: %w", err)
		}
	}
	o.events, err = o.readEvents(c)
	return o, err
}

// positive returns the value of a flag that holds a duration, which may not be 0.
func positive(c *cli.Context, flag string) (time.Duration, error) {
	d, err := units.ParseDuration(c.String(flag))
	if err == nil && d == 0 {
		err = errors.New("it must be longer than 0")
	}
	if err != nil {
		return 0, command.Usagef("--%s: %w", flag, err)
	}
	return d, nil
}

// readProgram returns the program of --exec with its arguments.
func readProgram(c *cli.Context) ([]string, error) {
	args, err := command.Operands(c, 0, -1, "ARG")
	switch {
	case err != nil:
		return nil, err
	case !c.IsSet("exec") && len(args) > 0:
		return nil, command.Usagef("unexpected argument %q; only a program of --exec has arguments", args[0])
	case !c.IsSet("exec") && c.IsSet("exec-timeout"):
		return nil, command.Usagef("--exec-timeout needs --exec")
	case !c.IsSet("exec"):
		return nil, nil
	}
	path, err := exec.LookPath(c.String("exec"))
	if err != nil {
		return nil, command.Usagef("--exec: %w", err)
	}
	return append([]string{path}, args...), nil
}

// readEvents returns the events to report.
func (o *watchOptions) readEvents(c *cli.Context) (map[watch.What]bool, error) {
	events := map[watch.What]bool{
		watch.Present: c.Bool("initial"), watch.Waiting: o.wait > 0, watch.Limit: o.limit != nil,
		watch.Made: true, watch.Marked: true, watch.Removed: true, watch.Attached: true, watch.Detached: true,
	}
	if !c.IsSet("events") {
		return events, nil
	}
	list, more := strings.CutPrefix(c.String("events"), "+")
	if !more {
		clear(events)
	}
	for word := range strings.SplitSeq(list, ",") {
		what, ok := watch.Parse(word)
		switch {
		case !ok:
			return nil, command.Usagef("--events: there is no event %q; the events are %s", word, strings.Join(watch.Words(), " "))
		case what == watch.Waiting && o.wait == 0:
			return nil, command.Usagef("--events waiting needs --wait DURATION")
		case what == watch.Limit && o.limit == nil:
			return nil, command.Usagef("--events limit needs --limit PERCENT")
		}
		events[what] = true
	}
	return events, nil
}

// sayOnce reports a problem, unless the same was reported before: it may last.
func (w *watcher) sayOnce(err error) {
	const most = 100 // messages remembered
	text := err.Error()
	if w.said[text] || len(w.said) == most {
		return
	}
	w.said[text] = true
	command.Report(w.App.ErrWriter, w.App.Name, err)
}

func (w *watcher) say(format string, args ...any) {
	command.Report(w.App.ErrWriter, w.App.Name, fmt.Errorf(format, args...))
}
