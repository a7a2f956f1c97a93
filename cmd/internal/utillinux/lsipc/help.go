package lsipc

import (
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
)

const help = `
Usage:
 NAME [options]

List System V and POSIX IPC objects, or the limits of the kernel and what is in
use.

Resource options:
 -m, --shmems             shared memory segments
 -M, --posix-shmems       POSIX shared memory objects
 -q, --queues             message queues
 -Q, --posix-mqueues      POSIX message queues
 -s, --semaphores         semaphore sets
 -S, --posix-semaphores   POSIX named semaphores
 -g, --global             limits and use (of one kind with -m, -q, -s or -Q)
 -i, --id <id>            all about the System V object with this identifier
 -N, --name <name>        all about the POSIX object with this name

Options:
     --noheadings         no line of headings
     --notruncate         cut nothing
     --time-format=<type> times as short, full or iso
 -b, --bytes              sizes in bytes, not in units for people
 -c, --creator            creator and owner
 -e, --export             NAME="value" pairs
 -J, --json               JSON
 -n, --newline            NAME="value" pairs, each in a line of its own
 -l, --list               a table (also with --id and --name)
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
		parts []columnRange
	}{
		{"Generic System V columns", []columnRange{commonColumns()}},
		{"Generic POSIX columns", []columnRange{{colName, colName}, ownershipColumns(), {colMTime, colMTime}}},
		{"System V Shared-memory columns (--shmems)", []columnRange{segmentColumns()}},
		{"System V Message-queue columns (--queues)", []columnRange{queueColumns()}},
		{"System V Semaphore columns (--semaphores)", []columnRange{setColumns()}},
		{"POSIX Semaphore columns (--posix-semaphores)", []columnRange{semaphoreColumns()}},
		{"Summary columns (--global)", []columnRange{summaryColumns()}},
	} {
		_, _ = p.Out.WriteString("\n" + group.title + ":\n")
		for _, columns := range group.parts {
			printColumns(p, columns)
		}
	}
	return p.PrintHelp("\nMore: lsipc(1), gipcs(1)\n")
}

func printColumns(p *program.Program, r columnRange) {
	for c := r.first; c <= r.last; c++ {
		h := headings[c]
		b := program.PadRight(append(p.Out.AvailableBuffer(), ' '), h.name, 14)
		_, _ = p.Out.Write(append(append(append(b, "  "...), h.help...), '\n'))
	}
}
