//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/metrics"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

func limitsCommand() *cli.Command {
	return &cli.Command{
		Name:  "limits",
		Usage: "show the limits of the system and what is in use of them",
		Description: "A limit of which 80 % are in use is marked \"high\". kernel.sem[N] is the N-th\n" +
			"number of that sysctl; size and nr_inodes are those of the file system on\n" +
			"/dev/shm. With conditions only what the selected objects use is counted.\n\n" +
			"--warn and --critical print a line for monitoring plugins; the status is 0\n" +
			"ok, 1 warning, 2 critical, 3 unknown. With --check it is 1 if a limit is\n" +
			"above PERCENT, 3 if one could not be read. FORMAT can also be prometheus.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "warn", Usage: "warn if more than `PERCENT` of a limit is in use"},
			&cli.StringSliceFlag{Name: "critical", Usage: "be critical if more than `PERCENT` is in use"},
			&cli.StringSliceFlag{Name: "check", Usage: "show only limits above `PERCENT`"},
			&cli.BoolFlag{Name: "explain", Usage: "show who holds what is in use, and how to get more", DisableDefaultText: true},
		}, selectflags.Flags(), []cli.Flag{namespaceFlag(), allNamespacesFlag()}, metricsFlags(), hostFlags()),
		Action: watched(onHosts(limitsOnHosts, inNamespace(showLimits))),
	}
}

// A limitsOptions holds what the flags of gipcs limits say.
type limitsOptions struct {
	format     render.Format
	metrics    *metricsOptions // nil: a listing
	explain    bool
	everywhere bool
	check      *uint64
	thresholds *thresholds
	selected   selection.Selection
}

func readLimitsOptions(c *cli.Context) (o limitsOptions, err error) {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return o, err
	}
	o.explain, o.everywhere = c.Bool("explain"), c.Bool("all-namespaces")
	if o.metrics, err = readMetricsOptions(c); err != nil {
		return o, err
	}
	if o.metrics == nil {
		if o.format, err = command.FormatOf(c); err != nil {
			return o, err
		}
	}
	if o.check, err = percentFlag(c, "check"); err != nil {
		return o, err
	}
	if o.thresholds, err = readThresholds(c); err != nil {
		return o, err
	}
	if o.selected, err = selectionOf(c); err != nil {
		return o, err
	}
	switch {
	case o.check != nil && o.explain:
		err = command.Usagef("--explain and --check exclude each other")
	case o.thresholds != nil && (o.check != nil || o.explain):
		err = command.Usagef("--warn and --critical exclude --check and --explain")
	case o.thresholds != nil && (c.IsSet("format") || c.Bool("json")):
		err = command.Usagef("--warn and --critical print one line for a monitor, and exclude --format and --json")
	case o.metrics != nil && (o.check != nil || o.explain):
		err = command.Usagef("--format prometheus prints all limits, and excludes --check and --explain")
	case o.everywhere && o.explain:
		err = command.Usagef("--all-namespaces and --explain exclude each other; use --namespace")
	case o.selected != nil && o.explain:
		err = command.Usagef("--explain tells of all objects; it and conditions that select some exclude each other")
	}
	return o, err
}

// percentFlag returns the value of a flag that may be given once, nil if it is not.
func percentFlag(c *cli.Context, name string) (*uint64, error) {
	texts := c.StringSlice(name)
	switch len(texts) {
	case 0:
		return nil, nil
	case 1:
		percent, err := units.ParseUint("percentage", texts[0], 100)
		if err != nil {
			return nil, command.Usagef("--%s: %w", name, err)
		}
		return &percent, nil
	default:
		return nil, command.Usagef("--%s is given twice; for two thresholds use --warn and --critical", name)
	}
}

func showLimits(c *cli.Context) error {
	o, err := readLimitsOptions(c)
	if err != nil {
		return err
	}
	if o.everywhere {
		return limitsEverywhere(c, o)
	}
	// One kind that cannot be read does not hide the others.
	all, unread := o.read(c)
	switch {
	case o.thresholds != nil:
		return o.thresholds.report(c, all, unread)
	case o.metrics != nil:
		return errors.Join(o.metrics.write(c, metrics.Limits(all)), unread)
	case o.explain:
		return errors.Join(explainLimits(c, all), unread)
	case o.check != nil:
		return checkLimits(c, o, all, unread)
	}
	if !forMachines(o.format) {
		reportAbsent(c)
	}
	return errors.Join(writeLimits(c, o.format, all), unread)
}

// read returns the limits that the command sees. With an error, some limits may be missing.
func (o *limitsOptions) read(c *cli.Context) ([]limits.Limit, error) {
	all, unread := readLimits(c, visibleKinds(c))
	if o.selected != nil {
		if err := countSelected(c, all, o.selected); err != nil {
			return nil, errors.Join(unread, err)
		}
	}
	return all, unread
}

// limitsEverywhere shows the limits of all places, or reports them to a monitor.
func limitsEverywhere(c *cli.Context, o limitsOptions) error {
	visits, unread := o.readEverywhere(c)
	switch {
	case o.thresholds != nil:
		return o.thresholds.report(c, allLimits(visits), unread)
	case o.metrics != nil:
		return errors.Join(o.metrics.write(c, metrics.Limits(allLimits(visits))), unread)
	}
	var rows [][]render.Cell
	for i := range visits {
		v := &visits[i]
		if v.seen == nil {
			continue
		}
		shown := *v.seen
		if o.check != nil {
			shown = above(shown, *o.check)
		}
		for row := range detail.LimitRows(shown) {
			rows = append(rows, slices.Concat(placeCells(&v.place), row))
		}
	}
	if o.check == nil || len(rows) > 0 || forMachines(o.format) {
		columns := slices.Concat(placeColumns(), detail.LimitColumns())
		if err := command.WriteRows(c, o.format, columns, slices.Values(rows), render.Options{}); err != nil {
			return err
		}
	}
	return o.alarm(len(rows), unread)
}

// readEverywhere returns the limits of all places. A namespace that could not be entered is
// an error for a check or a monitor; otherwise only standard error says so.
func (o *limitsOptions) readEverywhere(c *cli.Context) ([]visit[inventory.Place, []limits.Limit], error) {
	var unread []error
	visits, err := visitPlaces(c, func(c *cli.Context) (*[]limits.Limit, error) {
		all, err := o.read(c)
		if err != nil {
			unread = append(unread, fmt.Errorf("IPC namespace %d: %v", viewOf(c).Inode, explain.Now(err)))
		}
		for i := range all {
			all[i].Place = placeName(&viewOf(c).Place)
		}
		return &all, nil
	})
	if err != nil {
		return nil, err
	}
	for _, v := range visits {
		if v.seen == nil && (o.check != nil || o.thresholds != nil) {
			unread = append(unread, fmt.Errorf("the limits of IPC namespace %d cannot be read: %w", v.place.Inode, fs.ErrPermission))
		}
	}
	return visits, errors.Join(unread...)
}

// placeName returns a unique name of a place for a monitor: "" for the caller's own,
// otherwise the container, the IPC namespace, and the process of a further /dev/shm. Other
// users choose the names of control groups, so only plain ones are printed.
func placeName(p *inventory.Place) string {
	const digits = 12 // of a container's id
	first := slices.Contains(p.Kinds, ref.Shm)
	if p.Own && first {
		return ""
	}
	var parts []string
	if id := p.Container.ID; id != "" && command.IsPlain(id) {
		parts = append(parts, id[:min(len(id), digits)])
	}
	parts = append(parts, strconv.FormatUint(p.Inode, 10))
	if !first {
		parts = append(parts, strconv.Itoa(p.PID))
	}
	return strings.Join(parts, "/")
}

func allLimits(visits []visit[inventory.Place, []limits.Limit]) (all []limits.Limit) {
	for _, v := range visits {
		if v.seen != nil {
			all = append(all, *v.seen...)
		}
	}
	return all
}

// alarm returns the result of a check that found so many limits above its percentage. If
// some limits could not be read, that is an error instead of an alarm.
func (o *limitsOptions) alarm(high int, unread error) error {
	if o.check != nil && high > 0 && unread == nil {
		return command.Exit(command.Failed)
	}
	return unread
}

func writeLimits(c *cli.Context, format render.Format, all []limits.Limit) error {
	return command.WriteRows(c, format, detail.LimitColumns(), detail.LimitRows(all), render.Options{})
}

// checkLimits shows the limits that are above the percentage.
func checkLimits(c *cli.Context, o limitsOptions, all []limits.Limit, unread error) error {
	high := above(all, *o.check)
	if len(high) > 0 || forMachines(o.format) {
		if err := writeLimits(c, o.format, high); err != nil {
			return err
		}
	}
	return o.alarm(len(high), unread)
}

// countSelected replaces the use of the limits by the use of the selected objects.
func countSelected(c *cli.Context, all []limits.Limit, s selection.Selection) error {
	inv, err := collectAny(c, inventory.Options{Want: s.Want()})
	if err != nil {
		return err
	}
	reportUnlisted(c, inv)
	choice := s.Choose(inv, account.New())
	if err := choice.Err(); err != nil {
		return fmt.Errorf("--where: %w", err)
	}
	for i := range all {
		all[i].Count(choice.Selected)
	}
	return nil
}

func above(all []limits.Limit, percent uint64) (high []limits.Limit) {
	for _, l := range all {
		if exceeds(l, percent) {
			high = append(high, l)
		}
	}
	return high
}

// exceeds reports whether more than a percentage of a limit is in use. A limit that is used
// up exceeds every percentage, even 100.
func exceeds(l limits.Limit, percent uint64) bool {
	return l.Counted && (100*l.Share() > float64(percent) || l.Use >= l.Value)
}
