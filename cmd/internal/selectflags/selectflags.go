// Package selectflags holds the flags that select objects by their attributes.
package selectflags

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// Flags returns the flags that select objects by their attributes.
func Flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "where", Aliases: []string{"w"}, Usage: "select objects for which `EXPR` is true"},
		&cli.BoolFlag{Name: "orphans", Usage: "select objects that no living process can need", DisableDefaultText: true},
		&cli.BoolFlag{Name: "owner-gone", Usage: "select objects whose owner has no process left", DisableDefaultText: true},
		&cli.BoolFlag{Name: "unused", Usage: "select objects that no process uses or may hold", DisableDefaultText: true},
		&cli.StringSliceFlag{Name: "kind", Usage: "`KIND`: " + strings.Join(selection.KindWords(), " ") + ", or a list"},
		&cli.StringSliceFlag{Name: "older-than", Usage: "select objects unchanged for over `DURATION`"},
		&cli.StringSliceFlag{Name: "idle", Usage: "select objects not used or changed for `DURATION`"},
		&cli.StringSliceFlag{Name: "owner", Usage: "select objects of `USER`, a name or a number"},
		&cli.StringSliceFlag{Name: "key", Usage: "select by key: a `REF` (0x4d2, ftok:PATH), private"},
		WithMessages(), IgnoreHidden(),
	}
}

// WithMessages returns a flag that changes when an object counts as needed.
func WithMessages() cli.Flag {
	return &cli.BoolFlag{Name: "with-messages", Usage: "count a queue with unread messages as empty", DisableDefaultText: true}
}

// IgnoreHidden returns a flag that changes when an object counts as needed.
func IgnoreHidden() cli.Flag {
	return &cli.BoolFlag{Name: "ignore-hidden", Usage: "assume that hidden processes use none of these", DisableDefaultText: true}
}

// Kinds are the flags that choose kinds of objects, named as in ipcs and lsipc.
func Kinds() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "shmems", Aliases: []string{"m"}, Usage: "shared memory segments", DisableDefaultText: true},
		&cli.BoolFlag{Name: "semaphores", Aliases: []string{"s"}, Usage: "semaphore sets", DisableDefaultText: true},
		&cli.BoolFlag{Name: "queues", Aliases: []string{"q"}, Usage: "message queues", DisableDefaultText: true},
		&cli.BoolFlag{Name: "posix-shmems", Aliases: []string{"M"}, Usage: "POSIX shared-memory objects", DisableDefaultText: true},
		&cli.BoolFlag{Name: "posix-semaphores", Aliases: []string{"S"}, Usage: "POSIX named semaphores", DisableDefaultText: true},
		&cli.BoolFlag{Name: "posix-mqueues", Aliases: []string{"Q"}, Usage: "POSIX message queues", DisableDefaultText: true},
	}
}

func kindNames() []string {
	return []string{"shmems", "semaphores", "queues", "posix-shmems", "posix-semaphores", "posix-mqueues"}
}

// ChosenKinds returns the words of --kind, and the words that the flags of ls imply.
func ChosenKinds(c *cli.Context) (words []string) {
	for i, flag := range kindNames() {
		if c.Bool(flag) {
			words = append(words, ref.Kinds()[i].String())
		}
	}
	for _, list := range c.StringSlice("kind") {
		words = append(words, strings.Split(list, ",")...)
	}
	return words
}

// Parse parses the flags, each of which adds conditions. It returns nil without any. owner
// and key return the expressions for the values of --owner and --key.
func Parse(c *cli.Context, owner, key func(string) (string, error)) (selection.Selection, error) {
	var s selection.Selection
	add := func(flag, expr string, err error) error {
		if err == nil {
			var condition *selection.Condition
			condition, err = selection.Parse(expr)
			s = append(s, condition)
		}
		if err != nil {
			return command.Usagef("--%s: %w", flag, err)
		}
		return nil
	}
	for _, f := range []struct {
		flag string
		expr func(string) (string, error)
	}{
		{"where", func(text string) (string, error) { return text, nil }},
		{"older-than", func(text string) (string, error) { return selection.LongerThan("age", text) }},
		{"idle", func(text string) (string, error) { return selection.LongerThan("idle", text) }},
		{"owner", owner},
		{"key", key},
	} {
		for _, text := range c.StringSlice(f.flag) {
			expr, err := f.expr(text)
			if err := add(f.flag, expr, err); err != nil {
				return nil, err
			}
		}
	}
	if words := ChosenKinds(c); len(words) > 0 {
		expr, err := selection.OfKinds(words...)
		if err := add("kind", expr, err); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct{ flag, expr string }{{"orphans", "orphan"}, {"owner-gone", "owner_gone"}, {"unused", "unused"}, {"removed", "removed"}} {
		if !c.Bool(f.flag) {
			continue
		}
		if err := add(f.flag, f.expr, nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}
