//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// showLimits is gipcs fleet limits.
func showLimits(s *session) (func() error, error) {
	if _, err := command.Operands(s.Context, 0, 0, ""); err != nil {
		return nil, err
	}
	format, err := command.FormatOf(s.Context)
	if err != nil {
		return nil, err
	}
	q, _, err := questionOf(s.Context)
	return func() error { return s.writeLimits(format, q) }, err
}

func (s *session) writeLimits(format render.Format, q fleet.Question) error {
	var rows [][]render.Cell
	for answer := range s.ask(fleet.Limits, q) {
		more, err := limitRows(answer)
		if err != nil {
			s.fail(answer, err)
			continue
		}
		rows = append(rows, more...)
	}
	if err := s.ended(); err != nil {
		return err
	}
	if err := command.WriteRows(s.Context, format, underHost(detail.LimitColumns()), slices.Values(rows), s.options()); err != nil {
		return err
	}
	return s.report()
}

func limitRows(answer *fleet.Answer) (rows [][]render.Cell, err error) {
	for line, err := range answer.Lines() {
		if err != nil {
			return nil, err
		}
		row, err := detail.ReadLimit(line)
		if err != nil {
			return nil, fmt.Errorf("its answer is not one of gipcs: %w: %.60q", err, line)
		}
		rows = append(rows, slices.Concat([]render.Cell{render.Text(answer.Host)}, row))
	}
	return rows, nil
}

// show is gipcs fleet show.
func show(s *session) (func() error, error) {
	format, err := command.FormatOf(s.Context)
	if err != nil {
		return nil, err
	}
	args, err := command.Operands(s.Context, 1, -1, "KIND:REF")
	if err != nil {
		return nil, err
	}
	q := fleet.Question{Objects: args, WithMessages: s.Bool("with-messages"), IgnoreHidden: s.Bool("ignore-hidden")}
	if err := q.Check(); err != nil {
		return nil, command.Usage(err)
	}
	for _, arg := range args {
		if _, _, err := ref.ParseKind(arg); err != nil {
			return nil, command.Usage(err)
		}
	}
	return func() error { return s.writeRecords(format, q) }, nil
}

func (s *session) writeRecords(format render.Format, q fleet.Question) error {
	shown := false
	for answer := range s.ask(fleet.Show, q) {
		records, err := readRecords(answer)
		if err != nil {
			s.fail(answer, err)
			continue
		}
		for _, r := range records {
			if shown && !forMachines(format) {
				fmt.Fprintln(s.App.Writer)
			}
			shown = true
			if err := command.WriteRecord(s.Context, format, r.Columns, r.Cells); err != nil {
				return err
			}
		}
	}
	if err := s.ended(); err != nil {
		return err
	}
	return s.report()
}

func readRecords(answer *fleet.Answer) (list []*detail.Record, err error) {
	for line, err := range answer.Lines() {
		if err != nil {
			return nil, err
		}
		r, err := detail.ReadRecord(line)
		if err != nil {
			return nil, fmt.Errorf("its answer is not one of gipcs: %w: %.60q", err, line)
		}
		list = append(list, &detail.Record{
			Columns: slices.Concat([]render.Column{{Name: "host"}}, r.Columns),
			Cells:   slices.Concat([]render.Cell{render.Text(answer.Host)}, r.Cells),
		})
	}
	return list, nil
}
