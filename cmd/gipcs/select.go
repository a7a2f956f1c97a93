package main

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

// selectFlags are the flags that select objects by what they are.
func selectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "where", Aliases: []string{"w"}, Usage: "select objects by an `EXPR` over their fields, such as 'kind == \"sem\" && age > duration(\"1h\")'"},
		&cli.BoolFlag{Name: "orphans", Usage: "select objects that all who made or used them have left behind", DisableDefaultText: true},
		&cli.BoolFlag{Name: "unused", Usage: "select objects that nobody is attached to, maps, has open or waits on, and that hold no message", DisableDefaultText: true},
		&cli.StringSliceFlag{Name: "older-than", Usage: "select objects that were made or changed longer ago than `DURATION` (90m, 1d12h, 2w)"},
		&cli.StringSliceFlag{Name: "idle", Usage: "select objects that were used or changed longer ago than `DURATION`, as far as the kernel notes that"},
		&cli.StringSliceFlag{Name: "owner", Usage: "select objects of `USER`, a name or a number"},
		&cli.StringSliceFlag{Name: "key", Usage: "select objects with a key, a `REF` (0x4d2, key:1234, ftok:PATH), or \"private\" for those without"},
		&cli.BoolFlag{Name: "ignore-hidden", Usage: "take it that processes which may not be looked into wait on no queue and use no POSIX object", DisableDefaultText: true},
	}
}

const selectHelp = `Objects that are selected meet all of the conditions that are given. A field that an object
does not have, or that is not known, selects nothing: neither nattch == 0 nor nattch != 0
selects a semaphore set.`

// fieldHelp names what --where can ask for beyond the columns.
func fieldHelp() string {
	help := "EXPR can ask for the columns, and for:\n"
	all := fields.Fields()
	for _, f := range all[len(fields.All()):] {
		help += helpLine(f)
	}
	return help + "It knows duration(\"1d12h\"), size(\"1MiB\") and key(\"0x4d2\"), and == nil for what is not known."
}

// selectionOf reads the flags of selectFlags, each of which adds conditions. It is nil
// if none is given.
func selectionOf(c *cli.Context) (selection.Selection, error) {
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
		{"older-than", longerThan("age")},
		{"idle", longerThan("idle")},
		{"owner", ownedBy},
		{"key", withKey},
	} {
		for _, text := range c.StringSlice(f.flag) {
			expr, err := f.expr(text)
			if err := add(f.flag, expr, err); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range []struct{ flag, expr string }{{"orphans", "orphan"}, {"unused", "unused"}} {
		if !c.Bool(f.flag) {
			continue
		}
		if err := add(f.flag, f.expr, nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func longerThan(field string) func(string) (string, error) {
	return func(text string) (string, error) {
		_, err := units.ParseDuration(text)
		return fmt.Sprintf("%s > duration(%q)", field, text), err
	}
}

// ownedBy asks for the name that the number has, which several names may share.
func ownedBy(user string) (string, error) {
	uid, err := command.UserID(user)
	return fmt.Sprintf("owner == %s", strconv.Quote(account.New().UserOrID(uid))), err
}

func withKey(text string) (string, error) {
	key, err := readKey(text)
	if key == sysv.Private {
		return "key == 0", err
	}
	return fmt.Sprintf("key == key(%q)", key), err
}

// readKey reads the value of --key.
func readKey(text string) (sysv.Key, error) {
	if text == "private" {
		return sysv.Private, nil
	}
	r, err := ref.Parse(text)
	if err == nil && r.Form != ref.ByKey {
		err = fmt.Errorf("%q is no key; write 0x4d2, key:1234, ftok:PATH[:PROJ] or private", text)
	}
	return r.Key, err
}
