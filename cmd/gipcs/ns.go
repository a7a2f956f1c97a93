package main

import (
	"iter"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/detail"
	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/render"
	"github.com/sysvipc/gipc/sysv"
)

func nsCommand() *cli.Command {
	return &cli.Command{
		Name:  "ns",
		Usage: "list the IPC namespaces, with what is in them and who",
		Description: "A namespace that only an open file holds is not found. What may not be entered is shown\n" +
			"without counts, and counted on standard error.",
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
	closed := 0
	counts := make([]*objectCounts, len(list))
	for i := range list {
		n := &objectCounts{}
		if list[i].Do(n.read) == nil {
			counts[i] = n
		} else {
			closed++
		}
	}
	if err := command.WriteRows(c, format, namespaceColumns(), namespaceRows(list, counts), render.Options{}); err != nil {
		return err
	}
	reportHidden(c, closed, len(list), hidden)
	return nil
}

// objectCounts are the numbers of objects in a namespace.
type objectCounts struct{ segments, sets, queues int }

func (n *objectCounts) read() error {
	shm, err := sysv.ShmUsage()
	if err != nil {
		return err
	}
	sem, err := sysv.SemUsage()
	if err != nil {
		return err
	}
	msg, err := sysv.MsgUsage()
	n.segments, n.sets, n.queues = shm.Segments, sem.Sets, msg.Queues
	return err
}

func namespaceColumns() []render.Column {
	return []render.Column{
		{Name: "namespace", Heading: "NAMESPACE", Align: render.Right},
		{Name: "own", Heading: "OWN"},
		{Name: "segments", Heading: "SEGMENTS", Align: render.Right},
		{Name: "sets", Heading: "SETS", Align: render.Right},
		{Name: "queues", Heading: "QUEUES", Align: render.Right},
		{Name: "processes", Heading: "PROCESSES", Align: render.Right},
		{Name: "pid", Heading: "PID", Align: render.Right},
		{Name: "command", Heading: "COMMAND"},
		{Name: "container", Heading: "CONTAINER"},
		{Name: "mounts", Heading: "MOUNTS"},
	}
}

// namespaceRows takes nil for the counts of a namespace that could not be entered.
func namespaceRows(list []inventory.Namespace, counts []*objectCounts) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		for i := range list {
			n := &list[i]
			var segments, sets, queues, pid, comm render.Cell
			if c := counts[i]; c != nil {
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
