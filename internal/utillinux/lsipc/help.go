package lsipc

import (
	"github.com/sysvipc/gipc/internal/utillinux/program"
)

const help = `
Usage:
 NAME [options]

List System V IPC objects, or the limits of the kernel and what is in use.

Resource options:
 -m, --shmems      shared memory segments
 -q, --queues      message queues
 -s, --semaphores  semaphore sets
 -g, --global      limits and use (of one kind with -m, -q or -s)
 -i, --id <id>     everything about the one object with this identifier

Options:
     --noheadings         no line of headings
     --notruncate         cut nothing
     --time-format=<type> times as short, full or iso
 -b, --bytes              sizes in bytes, not in units for people
 -c, --creator            creator and owner
 -e, --export             NAME="value" pairs
 -J, --json               JSON
 -n, --newline            NAME="value" pairs, each in a line of its own
 -l, --list               a table (also with --id)
 -o, --output[=<list>]    these columns; behind a + in addition to the standard ones
 -P, --numeric-perms      permissions as a number
 -r, --raw                columns that are not lined up
 -t, --time               times of attaching, detaching and so on
 -y, --shell              names of columns that a shell takes for variables

 -h, --help               print this help
 -V, --version            print the version
`

func printHelp(p *program.Program) int {
	p.PrintHelp(help)
	for _, group := range []struct {
		title string
		columnRange
	}{
		{"Generic columns", commonColumns()},
		{"Shared-memory columns (--shmems)", segmentColumns()},
		{"Message-queue columns (--queues)", queueColumns()},
		{"Semaphore columns (--semaphores)", setColumns()},
		{"Summary columns (--global)", summaryColumns()},
	} {
		b := append(p.Out.AvailableBuffer(), '\n')
		b = append(append(b, group.title...), ":\n"...)
		for c := group.first; c <= group.last; c++ {
			h := headings[c]
			b = program.PadRight(append(b, ' '), h.name, 14)
			b = append(append(append(b, "  "...), h.help...), '\n')
		}
		_, _ = p.Out.Write(b)
	}
	return p.PrintHelp("\nMore: lsipc(1), gipcs(1)\n")
}
