//go:build linux

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A kindRef is a parsed KIND:REF.
type kindRef struct {
	kind ref.Kind
	ref  ref.Ref
}

// parseRefs parses operands; an invalid one makes it fail.
func parseRefs(args []string) ([]kindRef, error) {
	list := make([]kindRef, len(args))
	for i, arg := range args {
		kind, r, err := ref.ParseKind(arg)
		if err != nil {
			return nil, command.Usage(err)
		}
		list[i] = kindRef{kind, r}
	}
	return list, nil
}

func kindsIn(list []kindRef) (kinds []ref.Kind) {
	for _, n := range list {
		kinds = append(kinds, n.kind)
	}
	return kinds
}

// checkVisible refuses objects of kinds that can't be seen.
func checkVisible(c *cli.Context, kinds []ref.Kind) error {
	lacks := missing(c)
	for _, kind := range kinds {
		if err := lacks[kind]; err != nil {
			return fmt.Errorf("%ss cannot be seen: %w", kind.Noun(), err)
		}
	}
	return nil
}

// everyRef returns all objects as REFs with their kind, except names that a shell would
// split or expand.
func everyRef() (refs []string) {
	inv, err := inventory.Collect(inventory.Options{})
	if err != nil {
		return nil
	}
	for i := range inv.Objects {
		if r := inv.Objects[i].Ref(); command.IsPlain(r.Name) {
			refs = append(refs, r.String())
		}
	}
	return refs
}
