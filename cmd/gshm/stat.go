//go:build linux

package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/render/boxed"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func statCommand() *cli.Command {
	return &cli.Command{
		Name:         "stat",
		Usage:        "show all that the kernel knows of segments, or of POSIX objects",
		ArgsUsage:    "REF...",
		BashComplete: command.CompleteWith(everyRef),
		Flags:        command.FormatFlags("plain"),
		Action:       stat,
	}
}

func stat(c *cli.Context) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	refs, err := parseRefs(c)
	if err != nil {
		return err
	}
	for _, r := range refs {
		if r.Kind() != refs[0].Kind() {
			return command.Usagef("segments and POSIX objects have different fields; show them one kind at a time")
		}
	}
	if refs[0].Kind() == ref.PShm {
		return statEach(c, format, refs, posixFields(), func(o shm.Object) (posix.FileInfo, error) { return o.(shm.POSIXObject).Info() })
	}
	return statEach(c, format, refs, segmentFields(), func(o shm.Object) (sysv.SegmentInfo, error) { return o.(shm.Segment).Info() })
}

// A field is a fact about an object, taken from T.
type field[T any] struct {
	name string
	cell func(T) render.Cell
}

// statEach writes the fields of every object.
func statEach[T any](c *cli.Context, format render.Format, refs []shm.Ref, fields []field[T], info func(shm.Object) (T, error)) error {
	columns := make([]render.Column, len(fields))
	for i, f := range fields {
		columns[i].Name = f.name
	}
	var rows [][]render.Cell
	failed := eachObject(c, refs, func(o shm.Object) error {
		i, err := info(o)
		if err != nil {
			return err
		}
		row := make([]render.Cell, len(fields))
		for n, f := range fields {
			row[n] = f.cell(i)
		}
		rows = append(rows, row)
		return nil
	})
	if len(rows) == 0 && failed != nil {
		return failed
	}
	if err := command.WriteRecords(c, format, columns, slices.Values(rows), render.Options{DrawTable: boxed.Draw}); err != nil {
		return err
	}
	return failed
}

// segmentFields returns the fields of shmid_ds and ipc_perm, under the same names but
// without the prefix.
func segmentFields() []field[sysv.SegmentInfo] {
	type info = sysv.SegmentInfo
	return []field[info]{
		{"shmid", func(i info) render.Cell { return render.Int(int64(i.ID)) }},
		{"key", func(i info) render.Cell { return render.Hex(uint64(uint32(i.Key)), 8) }},
		{"uid", func(i info) render.Cell { return render.Uint(uint64(i.UID)) }},
		{"gid", func(i info) render.Cell { return render.Uint(uint64(i.GID)) }},
		{"cuid", func(i info) render.Cell { return render.Uint(uint64(i.CUID)) }},
		{"cgid", func(i info) render.Cell { return render.Uint(uint64(i.CGID)) }},
		{"mode", func(i info) render.Cell { return render.Octal(uint64(i.Mode), 4) }},
		{"dest", func(i info) render.Cell { return render.Bool(i.Dest) }},
		{"locked", func(i info) render.Cell { return render.Bool(i.Locked) }},
		{"seq", func(i info) render.Cell { return render.Uint(uint64(i.Seq)) }},
		{"segsz", func(i info) render.Cell { return render.Size(uint64(i.Size)) }},
		{"nattch", func(i info) render.Cell { return render.Uint(i.NAttch) }},
		{"cpid", func(i info) render.Cell { return pid(i.CPID) }},
		{"lpid", func(i info) render.Cell { return pid(i.LPID) }},
		{"atime", func(i info) render.Cell { return render.Time(i.ATime) }},
		{"dtime", func(i info) render.Cell { return render.Time(i.DTime) }},
		{"ctime", func(i info) render.Cell { return render.Time(i.CTime) }},
	}
}

// pid returns the cell of a process id. It is unknown if the kernel reports 0, which means
// that there is no process, or none visible here.
func pid(n int) render.Cell {
	if n == 0 {
		return render.Unknown()
	}
	return render.Int(int64(n))
}

// posixFields returns the fields of a POSIX object.
func posixFields() []field[posix.FileInfo] {
	type info = posix.FileInfo
	return []field[info]{
		{"name", func(i info) render.Cell { return render.Text(i.Name) }},
		{"uid", func(i info) render.Cell { return render.Uint(uint64(i.UID)) }},
		{"gid", func(i info) render.Cell { return render.Uint(uint64(i.GID)) }},
		{"mode", func(i info) render.Cell { return render.Octal(uint64(i.Mode), 4) }},
		{"size", func(i info) render.Cell { return render.Size(uint64(i.Size)) }},
		{"memory", func(i info) render.Cell { return render.Size(uint64(i.Memory)) }},
		{"dev", func(i info) render.Cell { return render.Uint(i.Dev) }},
		{"ino", func(i info) render.Cell { return render.Uint(i.Ino) }},
		{"nlink", func(i info) render.Cell { return render.Uint(i.Links) }},
		{"atime", func(i info) render.Cell { return render.Time(i.ATime) }},
		{"mtime", func(i info) render.Cell { return render.Time(i.MTime) }},
		{"ctime", func(i info) render.Cell { return render.Time(i.CTime) }},
	}
}
