//go:build linux

package main

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/shm"
)

// parseRef parses an operand.
func parseRef(arg string) (shm.Ref, error) {
	r, err := shm.Parse(arg)
	// A missing file in an ftok REF is not a command-line error.
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return r, err
	}
	return r, command.Usage(err)
}

// everyRef returns the REFs of all objects, for completion.
func everyRef() (refs []string) {
	for r := range shm.All() {
		if command.IsPlain(r) {
			refs = append(refs, r)
		}
	}
	return refs
}

// findObject returns the object that an operand names.
func findObject(arg string) (shm.Object, error) {
	r, err := parseRef(arg)
	if err != nil {
		return nil, err
	}
	return r.Find()
}

// oneObject returns the object that the only operand names.
func oneObject(c *cli.Context) (shm.Object, error) {
	args, err := command.Operands(c, 1, 1, "REF")
	if err != nil {
		return nil, err
	}
	return findObject(args[0])
}

// parseRefs parses all operands.
func parseRefs(c *cli.Context) ([]shm.Ref, error) {
	args, err := command.Operands(c, 1, -1, "REF")
	if err != nil {
		return nil, err
	}
	refs := make([]shm.Ref, len(args))
	for i, arg := range args {
		if refs[i], err = parseRef(arg); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// eachObject calls do for the object of every REF. If one fails, it reports the error and
// goes on.
func eachObject(c *cli.Context, refs []shm.Ref, do func(shm.Object) error) error {
	failed := false
	for _, r := range refs {
		o, err := r.Find()
		if err == nil {
			err = do(o)
		}
		if err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, err)
			failed = true
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}
