//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/removallog"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

const rmHelp = `Name objects, or select them by what they are. Selected objects are listed
with reasons, and removed after you confirm, or with --yes. An object that is
used or changed meanwhile is left alone.

POSIX objects are selected only if --kind names them, or if --where mentions
kind, name or another field that only they have; rm reports other matches. A
wrong argument stops everything; an object that cannot be removed does not.
`

func rmCommand() *cli.Command {
	return &cli.Command{
		Name:        "rm",
		Usage:       "remove objects",
		ArgsUsage:   "[KIND:REF...]",
		Description: rmHelp + "\n" + selectHelp + "\n" + fieldHelp(),
		Flags: slices.Concat(selectflags.Flags(), []cli.Flag{
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "remove selected objects without asking", DisableDefaultText: true},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "list what would be removed, but remove nothing", DisableDefaultText: true},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print each removed object", DisableDefaultText: true},
			&cli.StringFlag{Name: "log", Usage: "append a line of JSON for each removal to `FILE`"},
			&cli.StringFlag{Name: "backup", Usage: "save each object in `DIR` first, for gipcs restore"},
			&cli.StringSliceFlag{Name: "shmem-id", Aliases: []string{"m"}, Usage: "remove the segment `ID`"},
			&cli.StringSliceFlag{Name: "shmem-key", Aliases: []string{"M"}, Usage: "remove the segment with `KEY`"},
			&cli.StringSliceFlag{Name: "semaphore-id", Aliases: []string{"s"}, Usage: "remove the semaphore set `ID`"},
			&cli.StringSliceFlag{Name: "semaphore-key", Aliases: []string{"S"}, Usage: "remove the semaphore set with `KEY`"},
			&cli.StringSliceFlag{Name: "queue-id", Aliases: []string{"q"}, Usage: "remove the message queue `ID`"},
			&cli.StringSliceFlag{Name: "queue-key", Aliases: []string{"Q"}, Usage: "remove the message queue with `KEY`"},
			&cli.StringSliceFlag{Name: "posix-shmem", Usage: "remove the POSIX shared-memory object `NAME`"},
			&cli.StringSliceFlag{Name: "posix-semaphore", Usage: "remove the POSIX semaphore `NAME`"},
			&cli.StringSliceFlag{Name: "posix-mqueue", Usage: "remove the POSIX message queue `NAME`"},
			planFlag(), namespaceFlag(),
		}, command.FormatFlags("plain"), hostFlags(), []cli.Flag{partialFlag()}),
		Action:       onHosts(rmOnHosts, inNamespace(rm)),
		BashComplete: command.CompleteWith(everyRef),
	}
}

// An rmRun is a run of gipcs rm: its options and its results.
type rmRun struct {
	chooser   // its selection is nil if the objects are named
	format    render.Format
	named     []kindRef
	plan      *plan // nil without --plan
	verbose   bool
	removed   int
	leftAlone int
	failed    int
}

func rm(c *cli.Context) error {
	r, err := readRun(c)
	if err != nil {
		return err
	}
	targets, err := r.targets()
	if err == nil {
		targets, err = r.planned(targets)
	}
	if err != nil {
		return err
	}
	if r.Bool("dry-run") || r.selected != nil {
		if err := r.list(targets); err != nil {
			return err
		}
	}
	if !r.Bool("dry-run") {
		if !r.agreed(len(targets)) {
			return errors.New("nothing was removed")
		}
		if err := r.remove(targets); err != nil {
			return err
		}
	}
	return failedIf(r.incomplete || r.failed > 0, nil)
}

func readRun(c *cli.Context) (*rmRun, error) {
	r := &rmRun{verbose: c.Bool("verbose")}
	r.chooser = chooser{Context: c, names: account.New(), advice: flagAdvice(), say: func(format string, args ...any) {
		fmt.Fprintf(c.App.ErrWriter, c.App.Name+": "+format+"\n", args...)
	}}
	var err error
	if r.format, err = command.FormatOf(c); err != nil {
		return nil, err
	}
	if r.named, err = namedObjects(c); err != nil {
		return nil, err
	}
	if r.selected, err = selectionOf(c); err != nil {
		return nil, err
	}
	if err := checkChoice(r.selected != nil, len(r.named) > 0); err != nil {
		return nil, err
	}
	if r.selected != nil {
		if err := checkAsking(c); err != nil {
			return nil, err
		}
	}
	if c.IsSet("partial") {
		return nil, errPartial()
	}
	r.plan, err = planOf(c)
	return r, err
}

// checkChoice returns an error unless objects are either selected or named.
func checkChoice(selected, named bool) error {
	switch {
	case !selected && !named:
		return command.Usagef("nothing to remove; name objects as KIND:REF, such as shm:65538 or pshm:/NAME, or select them with --where, --orphans and the like")
	case selected && named:
		return command.Usagef("either name objects or select them, not both")
	}
	return nil
}

// checkAsking returns an error if the command would have to ask without a terminal.
func checkAsking(c *cli.Context) error {
	if c.Bool("yes") || c.Bool("dry-run") || command.IsTerminal(os.Stdin) {
		return nil
	}
	return command.Usagef("there is no terminal to ask on; check with --dry-run what would be removed, then use --yes")
}

// A nameFlag is a flag whose value names an object: a kind and a form of REF.
type nameFlag struct{ flag, kind, form string }

func nameFlags() []nameFlag {
	return []nameFlag{
		{"shmem-id", "shm", "id:"},
		{"shmem-key", "shm", "key:"},
		{"semaphore-id", "sem", "id:"},
		{"semaphore-key", "sem", "key:"},
		{"queue-id", "msg", "id:"},
		{"queue-key", "msg", "key:"},
		{"posix-shmem", "pshm", "/"},
		{"posix-semaphore", "psem", "/"},
		{"posix-mqueue", "pmsg", "/"},
	}
}

// namedObjects parses the objects that ipcrm's flags and the operands name.
func namedObjects(c *cli.Context) ([]kindRef, error) {
	var list []kindRef
	for _, f := range nameFlags() {
		for _, text := range c.StringSlice(f.flag) {
			n, err := readNamed(f.kind, f.form, text)
			if err != nil {
				return nil, command.Usagef("--%s: %w", f.flag, err)
			}
			list = append(list, n)
		}
	}
	args, err := command.Operands(c, 0, -1, "KIND:REF")
	if err != nil {
		return nil, err
	}
	operands, err := parseRefs(args)
	if err != nil {
		return nil, err
	}
	list = append(list, operands...)
	return list, checkVisible(c, kindsIn(list))
}

// readNamed parses the argument of an ipcrm flag: an identifier, a key, or a name,
// whose leading slash is optional.
func readNamed(kind, form, text string) (kindRef, error) {
	if form == "id:" {
		if _, err := units.ParseID(text); err != nil {
			return kindRef{}, err
		}
	}
	if form == "/" {
		text = strings.TrimPrefix(text, "/")
	}
	k, r, err := ref.ParseKind(kind + ":" + form + text)
	return kindRef{k, r}, err
}

func (r *rmRun) fail(err error) {
	command.Report(r.App.ErrWriter, r.App.Name, err)
	r.failed++
}

func (r *rmRun) targets() ([]removal.Target, error) {
	if r.selected != nil {
		return r.chooser.targets()
	}
	// Without a question there is no need to inspect the objects.
	find := removal.Name
	if r.Bool("dry-run") || r.IsSet("log") || r.IsSet("backup") || r.plan != nil {
		find = removal.Find
	}
	targets := make([]removal.Target, 0, len(r.named))
	have := make(map[ref.Object]bool)
	for _, n := range r.named {
		t, err := find(n.kind, n.ref)
		if err != nil {
			r.fail(err)
			continue
		}
		if !have[t.Ref()] { // it may be named twice, for instance also by key
			targets = append(targets, t)
		}
		have[t.Ref()] = true
	}
	return targets, nil
}

// list shows the objects to remove, and why.
func (r *rmRun) list(targets []removal.Target) error {
	machine := forMachines(r.format)
	if len(targets) == 0 && !machine {
		if command.IsTerminal(r.App.ErrWriter) {
			r.say("there is nothing to remove")
		}
		return nil
	}
	inv := &inventory.Inventory{Taken: time.Now()}
	for _, t := range targets {
		inv.Objects = append(inv.Objects, *t.Object)
	}
	kinds := ref.Kinds()
	if !machine {
		kinds = fields.Families(inv.Objects)
	}
	list := fields.Default(kinds, machine)
	if more := r.selected.Columns(); len(more) > 0 {
		var err error
		if list, err = fields.Choose("+"+strings.Join(more, ","), list); err != nil {
			return err
		}
	}
	return command.WriteRows(r.Context, r.format, fields.Narrow(list.Columns()), list.Rows(inv, r.names), render.Options{})
}

// agreed asks whether to remove n selected objects.
func (r *rmRun) agreed(n int) bool {
	if r.selected == nil || r.Bool("yes") || n == 0 {
		return true
	}
	return confirmed(r.Context, objects(n))
}

// confirmed asks whether to remove objects.
func confirmed(c *cli.Context, what string) bool {
	fmt.Fprintf(c.App.ErrWriter, "Remove %s? [y/N] ", what)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n') // end of input means no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

func objects(n int) string {
	if n == 1 {
		return "this object"
	}
	return fmt.Sprintf("these %d objects", n)
}

// remove removes the targets. It stops if the log cannot be written, or at a signal.
func (r *rmRun) remove(targets []removal.Target) (err error) {
	s, err := r.openSteps()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ctx, stop := command.Interruptible(r.Context.Context)
	defer stop()
	all := len(targets) + r.failed + r.leftAlone
	options := removal.Options{Before: s.before(ctx)}
	if r.selected != nil {
		options.Again = r.collect
	}
	for target, reason := range removal.Remove(ctx, targets, options) {
		reason = s.failed(target, reason)
		switch {
		case errors.Is(reason, removallog.ErrWrite):
			return reason
		case reason != nil && errors.Is(reason, ctx.Err()):
			continue // Remove ends with ctx
		}
		if err := r.account(target, reason); err != nil {
			return err
		}
	}
	return r.sumUp(all, ctx.Err() != nil)
}

// sumUp reports how many targets were removed, unless all were.
func (r *rmRun) sumUp(all int, interrupted bool) error {
	others := r.failed + r.leftAlone
	switch rest := all - r.removed - others; {
	case interrupted && rest > 0:
		return fmt.Errorf("interrupted: removed %d, left %d alone, failed to remove %d, did not get to %d", r.removed, r.leftAlone, r.failed, rest)
	case others > 0 && r.removed+others > 1:
		r.say("removed %d, left %d alone, failed to remove %d", r.removed, r.leftAlone, r.failed)
	}
	return nil
}

// account counts and reports the result for a target. A selected object may be left
// alone for good reason; a named one should have been removed.
func (r *rmRun) account(target removal.Target, err error) error {
	if err == nil {
		r.removed++
		if r.verbose {
			_, err = fmt.Fprintf(r.reports(), "removed %s\n", term.Escape(target.String()))
		}
		return err
	}
	if skipped := (*removal.Skipped)(nil); r.selected == nil || !errors.As(err, &skipped) {
		r.fail(err)
		return nil
	}
	command.Report(r.App.ErrWriter, r.App.Name, err)
	r.leftAlone++
	return nil
}

// reports returns where to report removals: not where a list for machines is printed.
func (r *rmRun) reports() io.Writer {
	if forMachines(r.format) {
		return r.App.ErrWriter
	}
	return r.App.Writer
}
