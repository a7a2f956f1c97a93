//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
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
	r, err := detail.ReadRecord(line)
	if err != nil {
		return nil, err
	}
	return &detail.Record{
		Columns: underHost(r.Columns),
		Cells:   slices.Concat([]render.Cell{render.Text(host)}, r.Cells),
	}, nil
}
