//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// Exit statuses of monitoring plugins.
const (
	stateOK = iota
	stateWarning
	stateCritical
	stateUnknown
)

// thresholds are the percentages above which a monitor gets another state; nil if not
// given.
type thresholds struct{ warn, critical *uint64 }

// readThresholds returns nil if neither --warn nor --critical is given.
func readThresholds(c *cli.Context) (*thresholds, error) {
	var t thresholds
	var err error
	if t.warn, err = percentFlag(c, "warn"); err != nil {
		return nil, err
	}
	if t.critical, err = percentFlag(c, "critical"); err != nil {
		return nil, err
	}
	switch {
	case t.warn == nil && t.critical == nil:
		return nil, nil
	case t.warn != nil && t.critical != nil && *t.warn > *t.critical:
		return nil, command.Usagef("--warn %d is above --critical %d", *t.warn, *t.critical)
	}
	return &t, nil
}

// monitors reports whether the command works as a monitoring plugin.
func monitors(c *cli.Context) bool { return c.IsSet("warn") || c.IsSet("critical") }

// wasRead is set in the application's metadata once the command line of gipcs limits was
// read. From then on its action decides the exit status.
const wasRead = "limits was read"

// asksForMonitor reports whether a command line that could not be read was meant for a
// monitor. A monitor would take the status of a wrong command line for a critical state.
func asksForMonitor(argv []string) bool {
	return slices.Contains(argv, "limits") && slices.ContainsFunc(argv, func(arg string) bool {
		return strings.HasPrefix(arg, "--warn") || strings.HasPrefix(arg, "--critical")
	})
}

// watched makes an action tell an error from an alarm: with --check, and as a monitoring
// plugin, an error ends with status 3. A plugin also prints the line that monitors expect.
func watched(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		c.App.Metadata[wasRead] = true
		err := action(c)
		var exit command.Exit
		switch {
		case err == nil, errors.As(err, &exit):
			return err
		case monitors(c):
			fmt.Fprintf(c.App.Writer, "GIPCS UNKNOWN - %s\n", plain(err))
			return command.Exit(stateUnknown)
		case len(c.StringSlice("check")) > 0 && !command.IsUsage(err):
			command.Report(c.App.ErrWriter, c.App.Name, err)
			return command.Exit(stateUnknown)
		default:
			return err
		}
	}
}

// plain returns an error as a line of a plugin, without the bar that begins the figures.
func plain(err error) string {
	return strings.ReplaceAll(command.OneLine(explain.Error(err)), "|", "/")
}

// report prints the line of a monitoring plugin: the state, the limits that are above a
// threshold or else the fullest, and the use of all as performance data.
func (t *thresholds) report(c *cli.Context, all []limits.Limit, unread error) error {
	state := stateOK
	var high []limits.Limit
	for _, l := range all {
		if s := t.stateOf(l); s != stateOK {
			state = max(state, s)
			high = append(high, l)
		}
	}
	if len(high) == 0 && len(all) > 0 {
		high = pressing(all)[:1]
	}
	slices.SortStableFunc(high, func(a, b limits.Limit) int { return compareShares(b, a) })
	var facts []string
	for _, l := range high {
		facts = append(facts, inUse(l))
	}
	if unread != nil { // a limit that was not read may be worse than any above a threshold
		state = stateUnknown
		facts = append(facts, plain(unread))
	}
	_, err := fmt.Fprintf(c.App.Writer, "GIPCS %s - %s%s\n",
		[...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[state], strings.Join(facts, ", "), t.performance(all))
	if err != nil || state == stateOK {
		return err
	}
	return command.Exit(state)
}

func (t *thresholds) stateOf(l limits.Limit) int {
	switch {
	case t.critical != nil && exceeds(l, *t.critical):
		return stateCritical
	case t.warn != nil && exceeds(l, *t.warn):
		return stateWarning
	default:
		return stateOK
	}
}

// inUse says how much of a limit is in use.
func inUse(l limits.Limit) string {
	if !l.Counted {
		return "no use of a limit is known"
	}
	name := label(l)
	if l.Kind == ref.PShm { // tmpfs(5) calls it only size or nr_inodes
		name = "/dev/shm " + name
	}
	return fmt.Sprintf("%s %.0f %% (%d of %d)", name, 100*l.Share(), l.Use, l.Value)
}

// label returns what monitors call a limit, with its place after an @.
func label(l limits.Limit) string {
	name := strings.ToLower(l.Name)
	if l.Place != "" {
		name += "@" + l.Place
	}
	return name
}

// performance returns the use of all limits as monitoring plugins print it:
// label=value[unit];warn;critical;min;max. A threshold is a number that may not be
// exceeded.
func (t *thresholds) performance(all []limits.Limit) string {
	var b strings.Builder
	for _, l := range all {
		if !l.Counted {
			continue
		}
		if b.Len() == 0 {
			b.WriteString(" |")
		}
		unit, most := "", ""
		if isBytes(l) {
			unit = "B"
		}
		if !l.Unlimited() {
			most = fmt.Sprint(l.Value)
		}
		fmt.Fprintf(&b, " %s=%d%s;%s;%s;0;%s", label(l), l.Use, unit, bound(l, t.warn), bound(l, t.critical), most)
	}
	return b.String()
}

func isBytes(l limits.Limit) bool {
	switch strings.ToLower(l.Name) {
	case "msgmnb", "size", "rlimit_msgqueue":
		return true
	}
	return false
}

// bound returns a percentage of a limit, "" if it is not given.
func bound(l limits.Limit, percent *uint64) string {
	if percent == nil || l.Unlimited() {
		return ""
	}
	return fmt.Sprint(l.Value/100**percent + l.Value%100**percent/100)
}
