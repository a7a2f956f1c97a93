//go:build linux

package main

import (
	"cmp"
	"errors"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// limitsOnHosts is gipcs limits on other hosts. A host that does not answer counts for
// --check as one whose limits could not be read.
func limitsOnHosts(f *fleet) error {
	o, err := readLimitsOptions(f.Context)
	switch {
	case err != nil:
		return err
	case o.thresholds != nil:
		return command.Usagef("--warn and --critical print one line about one host; run them on each host, or use --check")
	case o.metrics != nil:
		return command.Usagef("--format prometheus is for one host; run it on each host")
	case o.everywhere && f.IsSet("namespace"):
		return command.Usagef("--namespace and --all-namespaces exclude each other")
	case o.explain:
		columns := holdingColumns()
		rows, err := f.answers(columns)
		if err != nil {
			return err
		}
		err = command.WriteRecords(f.Context, o.format, underHost(columns), slices.Values(rows), render.Options{})
		return cmp.Or(err, f.report(command.Failed))
	}
	columns := []render.Column{hostColumn()}
	if o.everywhere {
		columns = append(columns, placeColumns()...)
	}
	columns = append(columns, detail.LimitColumns()...)
	rows := func(yield func([]render.Cell) bool) {
		for answer := range f.ask(f.hosts, f.passedOn(), func(line []byte) error { _, err := readLimitRow("", line, o.everywhere); return err }, nil) {
			for line := range answer.Lines() {
				row, _ := readLimitRow(answer.Host, line, o.everywhere) // ask has checked the line
				if !yield(row) {
					return
				}
			}
		}
	}
	all := slices.Collect(rows)
	missing := command.Failed
	if o.check != nil {
		missing = stateUnknown
	}
	if err := errors.Join(f.interrupted(), f.rejected()); err != nil {
		return err
	}
	if o.check == nil || len(all) > 0 || forMachines(o.format) {
		if err := command.WriteRows(f.Context, o.format, columns, slices.Values(all), render.Options{}); err != nil {
			return err
		}
	}
	return f.report(missing)
}

// readLimitRow returns the row for a limit that a host has printed.
func readLimitRow(host string, line []byte, places bool) ([]render.Cell, error) {
	row := []render.Cell{render.Text(host)}
	if places {
		place, err := readPlace(line)
		if err != nil {
			return nil, err
		}
		row = append(row, place...)
	}
	cells, err := detail.ReadLimit(line)
	return append(row, cells...), err
}
