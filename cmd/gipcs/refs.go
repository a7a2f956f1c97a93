package main

import (
	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// A named is an object that the command line names by KIND:REF.
type named struct {
	kind sysv.Kind
	ref  ref.Ref
}

// parseRefs reads operands; one that is wrong makes all fail.
func parseRefs(args []string) ([]named, error) {
	list := make([]named, len(args))
	for i, arg := range args {
		kind, r, err := ref.ParseKind(arg)
		if err != nil {
			return nil, command.Usage(err)
		}
		list[i] = named{kind, r}
	}
	return list, nil
}
