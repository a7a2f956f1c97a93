//go:build linux

package main

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

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

// selectionOf parses the flags that select objects, each of which adds conditions. It
// returns nil without any. A user or a path can mean something else on other hosts, so
// conditions on them are checked there.
func selectionOf(c *cli.Context) (selection.Selection, error) {
	owner, key := ownedBy, selection.WithKey
	if namesHosts(c) {
		owner, key = unchecked("owner == nil"), unchecked("key == nil")
	}
	return selectflags.Parse(c, owner, key)
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
