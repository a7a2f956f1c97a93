//go:build linux

package main

import (
	"iter"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

func nsCommand() *cli.Command {
	return &cli.Command{
		Name:  "ns",
		Usage: "list the IPC namespaces, with what is in them and who",
		Description: "A namespace that only an open file holds is not found. What may not be\n" +
			"entered is shown without counts, and counted on standard error.",
		Flags:  command.FormatFlags("plain"),
		Action: ns,
	}
}

func ns(c *cli.Context) error {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return err
	}
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	list, hidden, err := inventory.Namespaces("")
	if err != nil {
		return err
	}
	inode := func(n inventory.Namespace) uint64 { return n.Inode }
	visits, err := visitAll(c, list, &hidden, inode, countIn)
	if err != nil {
		return err
	}
	return command.WriteRows(c, format, namespaceColumns(), namespaceRows(visits), render.Options{})
}

// objectCounts are the numbers of objects in a namespace.
type objectCounts struct{ segments, sets, queues int }

func countIn(n inventory.Namespace) (counts *objectCounts, err error) {
	err = n.Do(func() (err error) {
		counts, err = countObjects()
		return err
	})
	return counts, err
}

func countObjects() (*objectCounts, error) {
	shm, err := sysvipc.ShmUsage()
	if err != nil {
		return nil, err
	}
	sem, err := sysvipc.SemUsage()
	if err != nil {
		return nil, err
	}
	msg, err := sysvipc.MsgUsage()
	if err != nil {
		return nil, err
	}
	return &objectCounts{shm.Segments, sem.Sets, msg.Queues}, nil
}

func namespaceColumns() []render.Column {
	return []render.Column{
		{Name: "namespace", Heading: "NAMESPACE", Align: render.Right},
		{Name: "own", Heading: "OWN", Rank: 3},
		{Name: "segments", Heading: "SEGMENTS", Align: render.Right},
		{Name: "sets", Heading: "SETS", Align: render.Right},
		{Name: "queues", Heading: "QUEUES", Align: render.Right},
		{Name: "processes", Heading: "PROCESSES", Align: render.Right, Rank: 2},
		{Name: "pid", Heading: "PID", Align: render.Right},
		{Name: "command", Heading: "COMMAND"},
		{Name: "container", Heading: "CONTAINER", Rank: 1},
		{Name: "mounts", Heading: "MOUNTS", Rank: 4},
	}
}

func namespaceRows(visits []visit[inventory.Namespace, objectCounts]) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for _, v := range visits {
			n := &v.place
			var segments, sets, queues, pid, comm render.Cell
			if c := v.seen; c != nil {
				segments, sets, queues = render.Int(int64(c.segments)), render.Int(int64(c.sets)), render.Int(int64(c.queues))
			}
			if len(n.PIDs) > 0 {
				pid, comm = render.Int(int64(n.PIDs[0])), render.Text(n.Comm)
			}
			mounts := make([]render.Cell, len(n.Mounts))
			for j, path := range n.Mounts {
				mounts[j] = render.Text(path)
			}
			if !yield([]render.Cell{
				render.Uint(n.Inode), render.Bool(n.Own), segments, sets, queues,
				render.Int(int64(len(n.PIDs))), pid, comm, detail.Container(n.Container), render.List(mounts...),
			}) {
				return
			}
		}
	}
}
