//go:build linux

package main

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
	"github.com/sysvipc/gipc/cmd/internal/snapshot"
)

// suffix ends the name of a snapshot, which begins with the host.
const suffix = ".gz"

// takeSnapshots is gipcs fleet snapshot.
func takeSnapshots(s *session) (func() error, error) {
	args, err := command.Operands(s.Context, 1, 1, "DIR")
	if err != nil {
		return nil, err
	}
	q, _, err := questionOf(s.Context)
	return func() error { return s.saveSnapshots(args[0], q) }, err
}

func (s *session) saveSnapshots(dir string, q fleet.Question) error {
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return err
	}
	for answer := range s.ask(fleet.Snapshot, q) {
		if _, err := snapshot.Read(answer.Text(), nil); err != nil {
			s.fail(answer, err)
			continue
		}
		if err := save(filepath.Join(dir, answer.Host+suffix), answer.Text()); err != nil {
			return err
		}
	}
	if err := s.ended(); err != nil {
		return err
	}
	return s.report()
}

// save writes a snapshot to a file, which may replace a snapshot.
func save(path string, text io.Reader) error {
	const private = 0o600
	replace := func(old *os.File) error {
		if _, err := snapshot.ReadHeader(old); err != nil {
			return errors.New("the file exists and is no snapshot that this gipcs can read; remove it first, or choose another directory")
		}
		return nil
	}
	return safepath.Replace(path, private, replace, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		_, err = io.Copy(z, text)
		return cmp.Or(err, z.Close())
	})
}

// A comparison is gipcs fleet diff.
type comparison struct {
	*cli.Context
	format render.Format
	by     []string
	older  string // a directory
	table  snapshot.Table
}

func diff(c *cli.Context) error {
	args, err := command.Operands(c, 1, 2, "DIR [DIR]")
	if err != nil {
		return err
	}
	d := &comparison{Context: c, older: args[0]}
	if d.format, err = command.FormatOf(c); err != nil {
		return err
	}
	if c.IsSet("by") {
		by, err := groups.Parse(c.String("by"))
		if err != nil {
			return command.Usagef("--by: %w", err)
		}
		d.by = by.Names()
	}
	if len(args) == 2 {
		return d.between(args[1])
	}
	s, err := readSession(c)
	if err != nil {
		return err
	}
	if len(s.roll.named) == 0 {
		if s.roll.named, err = hostsIn(d.older); err != nil {
			return err
		}
		s.roll.path = ""
	}
	return s.run(func() error { return d.sinceThen(s) })
}

// hostsIn returns the hosts of which a directory has snapshots.
func hostsIn(dir string) (list []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		host, ok := strings.CutSuffix(entry.Name(), suffix)
		if ok && fleet.CheckHost(host) == nil {
			list = append(list, host)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is no snapshot of gipcs fleet snapshot", dir)
	}
	return list, nil
}

// between compares two directories of snapshots. A host that is missing in one is named.
func (d *comparison) between(newer string) error {
	old, err := hostsIn(d.older)
	if err != nil {
		return err
	}
	now, err := hostsIn(newer)
	if err != nil {
		return err
	}
	failed := false
	for _, host := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(old, now)))) {
		before, err := d.read(d.older, host)
		if err == nil {
			var after *snapshot.Snapshot
			if after, err = d.read(newer, host); err == nil {
				err = d.add(host, before, after)
			}
		}
		if err != nil {
			command.Report(d.App.ErrWriter, d.App.Name, fmt.Errorf("%s: %w", host, err))
			failed = true
		}
	}
	if err := d.write(); err != nil {
		return err
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}

func (d *comparison) read(dir, host string) (*snapshot.Snapshot, error) {
	file, err := os.Open(filepath.Join(dir, host+suffix))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s, err := snapshot.Read(file, d.by)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return s, nil
}

// sinceThen compares the snapshots with what is there now. The hosts are asked for the
// selection of the first snapshot; Compare rejects the hosts that have another.
func (d *comparison) sinceThen(s *session) error {
	var q fleet.Question
	for _, host := range s.hosts {
		before, err := d.read(d.older, host)
		if err == nil {
			how := before.Selection
			q = fleet.Question{Where: how.Conditions, WithMessages: how.WithMessages, IgnoreHidden: how.IgnoreHidden}
			break
		}
	}
	for answer := range s.ask(fleet.Snapshot, q) {
		before, err := d.read(d.older, answer.Host)
		if err == nil {
			var after *snapshot.Snapshot
			if after, err = snapshot.Read(answer.Text(), d.by); err == nil {
				err = d.add(answer.Host, before, after)
			}
		}
		if err != nil {
			s.fail(answer, err)
		}
	}
	if err := s.ended(); err != nil {
		return err
	}
	if err := d.write(); err != nil {
		return err
	}
	return s.report()
}

// add compares two snapshots of a host.
func (d *comparison) add(host string, before, after *snapshot.Snapshot) error {
	changes, err := snapshot.Compare(before, after)
	if err != nil {
		return err
	}
	for _, note := range changes.Notes {
		command.Report(d.App.ErrWriter, d.App.Name, fmt.Errorf("%s: %s", host, note))
	}
	t := snapshot.ChangeTable(changes)
	if len(d.by) > 0 {
		t = snapshot.SumTable(changes, d.by)
	}
	d.table.Add(hostColumn(), render.Text(host), t)
	return nil
}

func (d *comparison) write() error {
	if d.table.Columns == nil { // no host could be compared
		return nil
	}
	if !forMachines(d.format) {
		d.table.Narrow()
	}
	options := render.Options{NoHeadings: d.Bool("no-headings"), HumanSizes: d.Bool("human")}
	return command.WriteRows(d.Context, d.format, d.table.Columns, slices.Values(d.table.Rows), options)
}
