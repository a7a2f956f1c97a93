//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/posix"
)

// namespaceFlag is the flag of commands that can work in another IPC namespace.
func namespaceFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "namespace", Aliases: []string{"N"},
		Usage: "work in the IPC namespace `NS`: pid, inode or file",
	}
}

// inNamespace makes an action work in the namespace that the flag names.
func inNamespace(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		if !c.IsSet("namespace") {
			return action(c)
		}
		if c.Bool("all-namespaces") {
			return command.Usagef("--namespace and --all-namespaces exclude each other")
		}
		ns, err := findNamespace(c.String("namespace"))
		if err != nil {
			return err
		}
		// What an error means is looked up in the namespace in which it came up.
		return ns.Do(func() error { return command.Explained(action(c)) })
	}
}

// otherNamespace tells whether the command is to work in another IPC namespace, or in
// all. POSIX objects can not be seen there: memory and semaphores are files of a mount
// namespace, and queues are shown by a file system that is mounted in one.
func otherNamespace(c *cli.Context) bool { return c.IsSet("namespace") || c.Bool("all-namespaces") }

// visibleKinds returns the kinds of objects that the command can see.
func visibleKinds(c *cli.Context) []ref.Kind {
	if otherNamespace(c) {
		return ref.SystemV()
	}
	return ref.Kinds()
}

func errOtherNamespace(kind ref.Kind) error {
	return command.Usagef("%ss of another namespace can not be seen by --namespace or --all-namespaces; run gipcs in it with nsenter --mount --ipc", kind.Noun())
}

// collectAny collects objects of all kinds unless o chooses some.
func collectAny(c *cli.Context, o inventory.Options) (*inventory.Inventory, error) {
	if len(o.Kinds) == 0 && otherNamespace(c) {
		o.Kinds = visibleKinds(c)
	}
	o.HiddenIdle, o.WithMessages = c.Bool("ignore-hidden"), c.Bool("with-messages")
	return inventory.Collect(o)
}

// collectSelected collects the objects that s can select, and what it wants to decide.
func collectSelected(c *cli.Context, s selection.Selection, want inventory.Want) (*inventory.Inventory, error) {
	want |= s.Want()
	visible := visibleKinds(c)
	kinds := slices.DeleteFunc(s.Kinds(), func(k ref.Kind) bool { return !slices.Contains(visible, k) })
	if len(kinds) == 0 {
		return &inventory.Inventory{Taken: time.Now()}, nil
	}
	if want&(inventory.WantVerdict|inventory.WantOwner) != 0 {
		// A verdict rests on objects of other kinds that belong together with the object.
		kinds = families(kinds)
	}
	return collectAny(c, inventory.Options{Kinds: kinds, Partial: true, Unlinked: c.Bool("removed"), Want: want})
}

// families returns all kinds of System V if one of kinds is, and so for POSIX.
func families(kinds []ref.Kind) (all []ref.Kind) {
	if slices.ContainsFunc(kinds, func(k ref.Kind) bool { return !k.POSIX() }) {
		all = ref.SystemV()
	}
	if slices.ContainsFunc(kinds, ref.Kind.POSIX) {
		all = append(slices.Clone(all), ref.POSIX()...)
	}
	return all
}

// reportUnlisted says of which kinds there may be objects that inv does not hold.
func reportUnlisted(c *cli.Context, inv *inventory.Inventory) {
	for _, u := range inv.Unlisted {
		command.Report(c.App.ErrWriter, c.App.Name, u.Err)
	}
}

// reportUnselected is reportUnlisted for what s selects, and reports whether a kind is
// missing that s names. A script, which asks again and again, is not told of a file system
// that is not mounted unless it asks for a kind that is there, or for a name.
func reportUnselected(c *cli.Context, inv *inventory.Inventory, s selection.Selection) (missing bool) {
	for _, u := range inv.Unlisted {
		absent := errors.Is(u.Err, posix.ErrNotMounted) || errors.Is(u.Err, fs.ErrNotExist)
		if s.Names(u.Kind) || !absent || s.Mentions("name") || command.IsTerminal(c.App.ErrWriter) {
			command.Report(c.App.ErrWriter, c.App.Name, u.Err)
		}
		missing = missing || s.Names(u.Kind)
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

// findNamespace returns the namespace that a process id, an inode number or a path
// names.
func findNamespace(text string) (inventory.Namespace, error) {
	if strings.Contains(text, "/") {
		return inventory.NamespaceAt(text)
	}
	n, err := units.ParseUint("namespace", text, 1<<32-1)
	if err != nil {
		return inventory.Namespace{}, command.Usagef("--namespace: %q is neither a process id nor an inode number nor a path", text)
	}
	if n <= maxPID {
		return inventory.NamespaceAt(procIPC(n))
	}
	list, _, err := inventory.Namespaces("")
	if err != nil {
		return inventory.Namespace{}, err
	}
	i := slices.IndexFunc(list, func(ns inventory.Namespace) bool { return ns.Inode == n })
	if i < 0 {
		return inventory.Namespace{}, fmt.Errorf("no visible process is in the IPC namespace %d", n)
	}
	return list[i], nil
}

// fileOf returns a file that stands for a namespace, "" if none is known.
func fileOf(ns inventory.Namespace) string {
	switch {
	case len(ns.Mounts) > 0:
		return ns.Mounts[0]
	case len(ns.PIDs) > 0:
		return procIPC(uint64(ns.PIDs[0]))
	default:
		return ""
	}
}

func procIPC(pid uint64) string { return "/proc/" + strconv.FormatUint(pid, 10) + "/ns/ipc" }
