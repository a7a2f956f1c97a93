//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// showOnHosts is gipcs show on other hosts.
func showOnHosts(f *fleet) error {
	format, err := command.FormatOf(f.Context)
	if err != nil {
		return err
	}
	args, err := command.Operands(f.Context, 1, -1, "KIND:REF")
	if err != nil {
		return err
	}
	shown := false
	args = slices.Concat(f.passedOn(), []string{"--"}, args)
	for answer := range f.ask(f.hosts, args, func(line []byte) error { _, err := readRecord("", line); return err }, nil) {
		for line := range answer.Lines() {
			record, _ := readRecord(answer.Host, line) // ask has checked the line
			if shown && !forMachines(format) {
				fmt.Fprintln(f.App.Writer)
			}
			shown = true
			if err := command.WriteRecord(f.Context, format, record.Columns, record.Cells); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(f.interrupted(), f.rejected()); err != nil {
		return err
	}
	return f.report(command.Failed)
}

// readRecord returns an object as gipcs show has printed it on a host.
func readRecord(host string, line []byte) (*detail.Record, error) {
	columns, cells, err := render.ReadJSON(line)
	if err != nil {
		return nil, err
	}
	var object struct{ Kind string }
	_ = json.Unmarshal(line, &object) // it is an object
	kind, err := ref.KindNamed(object.Kind)
	if err != nil {
		return nil, err
	}
	list, err := fields.Choose("+verdict", fields.Of(kind))
	if err != nil {
		return nil, err
	}
	printed, err := list.Read(line)
	if err != nil {
		return nil, err
	}
	known := make([]render.Cell, len(list))
	printed.Fill(known)
	for i, c := range columns {
		if at := slices.IndexFunc(list, func(f fields.Column) bool { return f.Name == c.Name }); at >= 0 {
			cells[i] = known[at]
		}
	}
	return &detail.Record{
		Columns: slices.Concat([]render.Column{{Name: "host"}}, columns),
		Cells:   slices.Concat([]render.Cell{render.Text(host)}, cells),
	}, nil
}
