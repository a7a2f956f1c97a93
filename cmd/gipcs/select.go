//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// selectFlags returns the flags that select objects by their attributes.
func selectFlags() []cli.Flag {
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
		withMessagesFlag(), ignoreHiddenFlag(),
	}
}

func withMessagesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "with-messages", Usage: "count a queue with unread messages as empty", DisableDefaultText: true}
}

func ignoreHiddenFlag() cli.Flag {
	return &cli.BoolFlag{Name: "ignore-hidden", Usage: "assume that hidden processes use none of these", DisableDefaultText: true}
}

const selectHelp = `Objects are selected if they meet all given conditions, such as
   --orphans --idle 1d --where 'kind == "sem" && owner == "www-data"'
A field that an object lacks, or that is unknown, selects nothing: neither
nattch == 0 nor nattch != 0 selects a semaphore set. A DURATION is 90m or 2d.
`

// seeFields stands in for fieldHelp, which takes time to build at every start.
const seeFields = "gipcs ls --help lists the fields of an EXPR."

// fieldHelp lists the fields that --where knows besides the columns.
func fieldHelp() string {
	help := "EXPR can use all columns of gipcs ls, and:\n"
	all := fields.Fields()
	for _, f := range all[len(fields.All()):] {
		help += helpLine(f)
	}
	return help + "Also: duration(\"1d12h\") size(\"1MiB\") key(\"0x4d2\"). FIELD == nil: unknown."
}

// chosenKinds returns the words of --kind, and the words that the flags of ls imply.
func chosenKinds(c *cli.Context) (words []string) {
	for i, flag := range kindFlagNames() {
		if c.Bool(flag) {
			words = append(words, ref.Kinds()[i].String())
		}
	}
	for _, list := range c.StringSlice("kind") {
		words = append(words, strings.Split(list, ",")...)
	}
	return words
}

// selectionOf parses the flags of selectFlags, each of which adds conditions. It returns
// nil without any. A user or a path can mean something else on other hosts, so conditions
// on them are checked there.
func selectionOf(c *cli.Context) (selection.Selection, error) {
	var s selection.Selection
	owner, key := ownedBy, selection.WithKey
	if namesHosts(c) {
		owner, key = unchecked("owner == nil"), unchecked("key == nil")
	}
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
	if words := chosenKinds(c); len(words) > 0 {
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

// unchecked returns a condition on a field whose value means nothing here.
func unchecked(expr string) func(string) (string, error) {
	return func(string) (string, error) { return expr, nil }
}

// ownedBy compares the name that listings show for the uid, since a uid can have several
// names.
func ownedBy(user string) (string, error) {
	uid, err := command.UserID(user)
	return fmt.Sprintf("owner == %s", strconv.Quote(account.New().UserOrID(uid))), err
}
