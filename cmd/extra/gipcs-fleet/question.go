//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// questionOf returns the question that the flags ask, and the kinds of objects that it
// selects.
func questionOf(c *cli.Context) (fleet.Question, []ref.Kind, error) {
	selected, err := selectflags.Parse(c, ownedBy, keyOf)
	if err != nil {
		return fleet.Question{}, nil, err
	}
	q := fleet.Question{WithMessages: c.Bool("with-messages"), IgnoreHidden: c.Bool("ignore-hidden")}
	for _, condition := range selected {
		q.Where = append(q.Where, condition.String())
	}
	return q, selected.Kinds(), command.Usage(q.Check())
}

// ownedBy compares the number or the name that each host shows for an owner.
func ownedBy(user string) (string, error) {
	if user == "" {
		return "", errors.New("the name of the user is empty")
	}
	if uid, err := strconv.ParseUint(user, 10, 32); err == nil {
		return fmt.Sprintf("uid == %d", uid), nil
	}
	return "owner == " + strconv.Quote(user), nil
}

// keyOf rejects a path, which has another key on each host.
func keyOf(text string) (string, error) {
	if strings.HasPrefix(text, "ftok:") {
		return "", fmt.Errorf("%q: a path has another key on each host; give the key", text)
	}
	return selection.WithKey(text)
}
