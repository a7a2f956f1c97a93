package main

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/render"
	"github.com/sysvipc/gipc/internal/render/boxed"
	"github.com/sysvipc/gipc/sysv"
)

func statCommand() *cli.Command {
	return &cli.Command{
		Name:      "stat",
		Usage:     "show all that the kernel knows of segments",
		ArgsUsage: "REF...",
		Flags:     command.FormatFlags("plain"),
		Action:    stat,
	}
}

func stat(c *cli.Context) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	var infos []sysv.SegmentInfo
	failed := eachSegment(c, func(segment sysv.Segment) error {
		info, err := statSegment(segment)
		if err == nil {
			infos = append(infos, info)
		}
		return err
	})
	if len(infos) == 0 && failed != nil {
		return failed
	}
	if err := command.WriteRecords(c, format, statColumns(), statRows(infos), render.Options{DrawTable: boxed.Draw}); err != nil {
		return err
	}
	return failed
}

// statSegment asks for the segment by its identifier and, where that takes a
// permission that the caller lacks, looks for it in the kernel's table, which
// everybody may read.
func statSegment(segment sysv.Segment) (sysv.SegmentInfo, error) {
	info, err := segment.Stat()
	if !errors.Is(err, fs.ErrPermission) {
		return info, err
	}
	for info, listErr := range sysv.Segments() {
		if listErr != nil {
			break
		}
		if info.ID == int(segment) {
			return info, nil
		}
	}
	return info, err
}

// statColumns are the fields of shmid_ds and ipc_perm, under their names there
// without prefix.
func statColumns() []render.Column {
	names := []string{
		"shmid", "key", "uid", "gid", "cuid", "cgid", "mode", "dest", "locked", "seq",
		"segsz", "nattch", "cpid", "lpid", "atime", "dtime", "ctime",
	}
	columns := make([]render.Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns
}

func statRows(infos []sysv.SegmentInfo) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for _, i := range infos {
			if !yield([]render.Cell{
				render.Int(int64(i.ID)), render.Hex(uint64(uint32(i.Key)), 8),
				render.Uint(uint64(i.UID)), render.Uint(uint64(i.GID)),
				render.Uint(uint64(i.CUID)), render.Uint(uint64(i.CGID)),
				render.Octal(uint64(i.Mode), 4), render.Bool(i.Dest), render.Bool(i.Locked), render.Uint(uint64(i.Seq)),
				render.Size(uint64(i.Size)), render.Uint(i.NAttch), pid(i.CPID), pid(i.LPID),
				render.Time(i.ATime), render.Time(i.DTime), render.Time(i.CTime),
			}) {
				return
			}
		}
	}
}

// pid is unknown where the kernel says 0: nobody, or nobody visible here.
func pid(n int) render.Cell {
	if n == 0 {
		return render.Unknown()
	}
	return render.Int(int64(n))
}
