//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/rejoin"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/posix"
)

// namespaceFlag is the flag of commands that can work in another place.
func namespaceFlag() cli.Flag {
	return &cli.StringSliceFlag{
		Name: "namespace", Aliases: []string{"N"},
		Usage: "work where `NS` is: PID, docker:ID, inode or file",
	}
}

// allNamespacesFlag is the flag of commands that can visit every place.
func allNamespacesFlag() cli.Flag {
	return &cli.BoolFlag{
		Name: "all-namespaces", Aliases: []string{"A"}, DisableDefaultText: true,
		Usage: "look into all namespaces, with columns for them",
	}
}

// inNamespace makes an action work in the namespace that the flag names.
func inNamespace(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		names := c.StringSlice("namespace")
		switch {
		case len(names) == 0:
			return action(c)
		case len(names) > 1:
			return command.Usagef("--namespace is given twice; use --all-namespaces, which ls and limits accept, for every namespace")
		case c.Bool("all-namespaces"):
			return command.Usagef("--namespace and --all-namespaces exclude each other")
		}
		place, err := findPlace(names[0])
		if err != nil {
			return err
		}
		if status, done, err := joinUsers(place); done || err != nil {
			return cmp.Or(err, exitWith(status))
		}
		// Explain an error while still in the namespace where it occurred.
		return place.Do(func(sight inventory.Sight) error {
			return explain.Now(action(seeing(c, place, sight)))
		})
	}
}

// joinUsers runs this program again in the user namespace of a place, if the caller has
// the required rights only there. Otherwise done is false.
func joinUsers(p inventory.Place) (status int, done bool, err error) {
	users, err := p.OwnUsers()
	if err != nil || users == nil {
		return 0, false, err
	}
	defer users.Close()
	status, err = rejoin.Run(users)
	return status, true, err
}

func exitWith(status int) error {
	if status == command.Done {
		return nil
	}
	return command.Exit(status)
}

// A view is the place where a command works, and what is visible there.
type view struct {
	inventory.Place
	inventory.Sight
}

type viewKey struct{}

// seeing returns a context for a command that works in a place.
func seeing(c *cli.Context, p inventory.Place, s inventory.Sight) *cli.Context {
	inside := *c
	inside.Context = context.WithValue(c.Context, viewKey{}, &view{p, s})
	return &inside
}

// viewOf returns the view of a command, nil if it works where it was started.
func viewOf(c *cli.Context) *view {
	if c.Context == nil {
		return nil
	}
	v, _ := c.Context.Value(viewKey{}).(*view)
	return v
}

// visibleKinds returns the kinds of objects that the command looks at.
func visibleKinds(c *cli.Context) []ref.Kind {
	if v := viewOf(c); v != nil {
		return v.Sight.Kinds
	}
	return ref.Kinds()
}

// missing returns why the command can't see kinds of objects.
func missing(c *cli.Context) map[ref.Kind]error {
	if v := viewOf(c); v != nil {
		return v.Missing
	}
	return nil
}

// ownKinds returns the kinds whose objects are those of the caller's own namespaces.
func ownKinds(c *cli.Context) []ref.Kind {
	v := viewOf(c)
	return slices.DeleteFunc(ref.Kinds(), func(k ref.Kind) bool {
		inShm := k == ref.PShm || k == ref.PSem
		return v != nil && (inShm && v.OtherShm || !inShm && v.OtherIPC)
	})
}

// readLimits returns the limits of kinds of objects. With an error it also returns the
// limits that could be read.
func readLimits(c *cli.Context, kinds []ref.Kind) ([]limits.Limit, error) {
	var seen []ref.Kind
	var unread []error
	lacks := missing(c)
	for _, kind := range kinds {
		err := lacks[kind]
		switch {
		case err == nil:
			seen = append(seen, kind)
		case kind != ref.PSem && !errors.Is(err, fs.ErrNotExist): // semaphores are in /dev/shm as well
			unread = append(unread, fmt.Errorf("the limits of %ss cannot be read: %w", kind.Noun(), err))
		}
	}
	all, err := limits.Read(seen)
	return all, errors.Join(append([]error{err}, unread...)...)
}

// reportAbsent reports which limits are not shown because the objects do not exist.
func reportAbsent(c *cli.Context) {
	lacks := missing(c)
	seen := slices.DeleteFunc(slices.Clone(visibleKinds(c)), func(k ref.Kind) bool { return lacks[k] != nil })
	for _, why := range limits.Absent(seen) {
		command.Report(c.App.ErrWriter, c.App.Name, why)
	}
	for _, kind := range []ref.Kind{ref.PShm, ref.PMsg} {
		if err := lacks[kind]; errors.Is(err, fs.ErrNotExist) {
			command.Report(c.App.ErrWriter, c.App.Name, fmt.Errorf("the limits of %ss are not shown: %w", kind.Noun(), err))
		}
	}
}

// collectAny collects objects of all kinds unless o chooses some.
func collectAny(c *cli.Context, o inventory.Options) (*inventory.Inventory, error) {
	if len(o.Kinds) == 0 && viewOf(c) != nil {
		o.Kinds, o.Partial = visibleKinds(c), true
	}
	o.Missing = missing(c)
	o.HiddenIdle, o.WithMessages = o.HiddenIdle || c.Bool("ignore-hidden"), o.WithMessages || c.Bool("with-messages")
	return inventory.Collect(o)
}

// collectSelected collects the objects that s can select, with the facts that s needs.
func collectSelected(c *cli.Context, s selection.Selection, want inventory.Want) (*inventory.Inventory, error) {
	return collectWith(c, s, inventory.Options{Unlinked: c.Bool("removed"), Want: want})
}

// collectWith is collectSelected with more options. It sets the kinds.
func collectWith(c *cli.Context, s selection.Selection, o inventory.Options) (*inventory.Inventory, error) {
	o.Want |= s.Want()
	visible := visibleKinds(c)
	kinds := slices.DeleteFunc(s.Kinds(), func(k ref.Kind) bool { return !slices.Contains(visible, k) })
	if len(kinds) == 0 {
		return &inventory.Inventory{Taken: time.Now()}, nil
	}
	if o.Want&(inventory.WantVerdict|inventory.WantOwner) != 0 {
		// A verdict rests on objects of other kinds that belong together with the object.
		kinds = families(kinds)
	}
	o.Kinds, o.Partial = kinds, true
	return collectAny(c, o)
}

// families returns all System V kinds if kinds has one of them, and the same for POSIX
// kinds.
func families(kinds []ref.Kind) (all []ref.Kind) {
	if slices.ContainsFunc(kinds, func(k ref.Kind) bool { return !k.POSIX() }) {
		all = ref.SystemV()
	}
	if slices.ContainsFunc(kinds, ref.Kind.POSIX) {
		all = append(slices.Clone(all), ref.POSIX()...)
	}
	return all
}

// reportUnlisted reports the kinds of which inv may lack objects.
func reportUnlisted(c *cli.Context, inv *inventory.Inventory) {
	for _, u := range inv.Unlisted {
		command.Report(c.App.ErrWriter, c.App.Name, u.Err)
	}
}

// reportUnselected is reportUnlisted for the kinds that s selects. missing reports whether
// one of them is a kind that s names or would match. A file system that is not mounted is
// reported only on a terminal, or if s names the kind or an object: a script asks again and
// again.
func reportUnselected(c *cli.Context, inv *inventory.Inventory, s selection.Selection) (missing bool) {
	for _, u := range inv.Unlisted {
		absent := errors.Is(u.Err, posix.ErrNotMounted) || errors.Is(u.Err, fs.ErrNotExist)
		if s.Names(u.Kind) || !absent || s.Mentions("name") || command.IsTerminal(c.App.ErrWriter) {
			command.Report(c.App.ErrWriter, c.App.Name, u.Err)
		}
		missing = missing || s.Names(u.Kind) || !absent && u.Kind.POSIX() && s.AsksForPOSIX()
	}
	return missing
}

// reportFailed says for how many objects an expression has no value, and reports whether
// there are any.
func reportFailed(c *cli.Context, choice selection.Choice) bool {
	err := choice.Err()
	if err != nil {
		command.Report(c.App.ErrWriter, c.App.Name, fmt.Errorf("--where: %w", err))
	}
	return err != nil
}

// maxPID is above every process id (PID_MAX_LIMIT), and below the inode numbers of
// namespaces.
const maxPID = 1 << 22

// findPlace returns the place named by a process id, a container, an inode number or a
// path.
func findPlace(text string) (inventory.Place, error) {
	if strings.Contains(text, "/") {
		return inventory.PlaceAt(text)
	}
	n, err := units.ParseUint("namespace", text, 1<<32-1)
	switch {
	case err == nil && n <= maxPID:
		return inventory.PlaceOf(int(n))
	case err == nil:
		return inventory.PlaceIn(n)
	case !isContainer(text):
		return inventory.Place{}, command.Usagef("--namespace: %q is no process id, container, inode number or path", text)
	}
	pid, err := inventory.ContainerProcess("", text)
	if err != nil {
		return inventory.Place{}, err
	}
	return inventory.PlaceOf(pid)
}

// isContainer reports whether text has the form of RUNTIME:ID, or of an ID.
func isContainer(text string) bool {
	runtime, id, ok := strings.Cut(text, ":")
	return ok && runtime != "" && id != "" || !ok && len(text) >= 4 && strings.Trim(text, "0123456789abcdef") == ""
}

// fileOf returns a file that stands for a namespace, "" if none is known.
func fileOf(ns inventory.Namespace) string {
	switch {
	case len(ns.Mounts) > 0:
		return ns.Mounts[0]
	case len(ns.PIDs) > 0:
		return fmt.Sprintf("/proc/%d/ns/ipc", ns.PIDs[0])
	default:
		return ""
	}
}
