//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/hosts"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// cleanOnHosts is gipcs clean on other hosts, each with its own policy file. Every host
// says what it would remove before any of them removes something.
func cleanOnHosts(f *fleet) error {
	format, err := command.FormatOf(f.Context)
	if err != nil {
		return err
	}
	if _, err := command.Operands(f.Context, 0, 0, ""); err != nil {
		return err
	}
	if !f.IsSet("policy") {
		return command.Usagef("--policy is missing; it names a file on each host")
	}
	args := f.passedOn("yes", "partial")
	if err := f.cleanUp(format, args); err != nil {
		return err
	}
	planned := f.report(command.Failed)
	switch {
	case !f.Bool("yes") || f.interrupted() != nil:
		return planned
	case planned != nil && !f.Bool("partial"):
		return errors.New("nothing was removed, since not every host answered completely; --partial removes on those that did")
	}
	on := slices.DeleteFunc(slices.Clone(f.hosts), func(host string) bool {
		return slices.ContainsFunc(f.failed, func(a hosts.Answer) bool { return a.Host == host })
	})
	if len(on) == 0 {
		return planned
	}
	again := &fleet{Context: f.Context, ctx: f.ctx, hosts: on, runner: f.runner, remote: f.remote}
	if err := again.cleanUp(format, append(args, "--yes")); err != nil {
		return err
	}
	return errors.Join(again.report(command.Failed), planned)
}

// cleanUp runs gipcs clean on the hosts and prints the record of each. With --quiet a host
// may print none.
func (f *fleet) cleanUp(format render.Format, args []string) error {
	shown := false
	accept := func(line []byte) error { _, _, err := readCleanRecord(line); return err }
	for answer := range f.ask(f.hosts, args, accept, nil) {
		for line := range answer.Lines() {
			columns, cells, _ := readCleanRecord(line) // ask has checked the line
			if shown && !forMachines(format) {
				fmt.Fprintln(f.App.Writer)
			}
			shown = true
			cells = slices.Concat([]render.Cell{render.Text(answer.Host)}, cells)
			if err := command.WriteRecord(f.Context, format, underHost(columns), cells); err != nil {
				return err
			}
		}
	}
	return errors.Join(f.interrupted(), f.rejected())
}

// readCleanRecord reads what gipcs clean has printed on a host.
func readCleanRecord(line []byte) ([]render.Column, []render.Cell, error) {
	columns, cells, err := render.ReadJSON(line)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"policy", "acted", "removed", "objects"} {
		if !slices.ContainsFunc(columns, func(c render.Column) bool { return c.Name == name }) {
			return nil, nil, fmt.Errorf("it lacks the field %s", name)
		}
	}
	return columns, cells, nil
}
