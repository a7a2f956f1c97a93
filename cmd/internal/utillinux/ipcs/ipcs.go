// Package ipcs is ipcs(1): its output equals that of util-linux 2.38.1 byte for byte,
// except for the differences in docs/compat.md.
package ipcs

import (
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/clock"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
)

const help = `
Usage:
 NAME [resource-option...] [output-option]
 NAME -m|-q|-s -i <id>

List System V shared memory segments, message queues and semaphore sets.

Options:
 -i, --id <id>  everything about the one object with this identifier
 -h, --help     print this help
 -V, --version  print the version

Resource options:
 -m, --shmems      shared memory segments
 -q, --queues      message queues
 -s, --semaphores  semaphore sets
 -a, --all         all three (the default)

Output options:
 -t, --time        times of attaching, detaching and change
 -p, --pid         process ids of the creator and of the last operation
 -c, --creator     creator and owner
 -l, --limits      limits of the kernel
 -u, --summary     what is in use
     --human       sizes in units for people
 -b, --bytes       sizes in bytes

More: ipcs(1), gipcs(1)
`

// A view is the set of columns in a listing.
type view int

const (
	plain view = iota
	limits
	summary
	creators
	times
	pids
)

// A unit is how sizes are printed.
type unit int

const (
	standard unit = iota // the usual unit for each size
	bytes
	kilobytes
	human
)

// A request is a parsed command line.
type request struct {
	queues, segments, sets bool
	one                    bool // only the object with identifier id
	id                     int
	view                   view
	unit                   unit
}

type lister struct {
	*program.Program
	request
	accounts *account.Directory
	clocks   [3]*clock.Clock // one for each column of times
}

// Main runs ipcs.
func Main(args []string, env program.Env) int {
	p := program.Start(env)
	return p.Exit(run(p, args))
}

func run(p *program.Program, args []string) int {
	parsed, err := p.Options([]getopt.Option{
		{Names: []string{"i", "id"}, Arg: getopt.RequiredArgument},
		{Names: []string{"q", "queues"}},
		{Names: []string{"m", "shmems"}},
		{Names: []string{"s", "semaphores"}},
		{Names: []string{"a", "all"}},
		{Names: []string{"t", "time"}},
		{Names: []string{"p", "pid"}},
		{Names: []string{"c", "creator"}},
		{Names: []string{"l", "limits"}},
		{Names: []string{"u", "summary"}},
		{Names: []string{"human"}},
		{Names: []string{"b", "bytes"}},
		{Names: []string{"V", "version"}},
		{Names: []string{"h", "help"}},
	}, args)
	var r request
	for _, m := range parsed.Matches {
		switch m.Name {
		case "h":
			return p.PrintHelp(help)
		case "V":
			return p.PrintVersion()
		case "i":
			id, err := identifier(m.Value)
			if err != nil {
				return p.FailNumber("failed to parse id argument", m.Value, err)
			}
			r.id, r.one = id, true
		default:
			r.option(m.Name)
		}
	}
	switch kinds := r.kinds(); {
	case err != nil:
		return p.BadOption(err)
	case r.one && kinds != 1:
		return p.Fail("when using an ID, a single resource must be specified")
	case kinds == 0:
		r.queues, r.segments, r.sets = true, true, true
	}
	l := &lister{Program: p, request: r, accounts: account.New()}
	for i := range l.clocks {
		l.clocks[i] = clock.New(clock.Ctime, p.LookupEnv)
	}
	if r.one {
		return l.showOne()
	}
	return l.list()
}

func (r *request) option(name string) {
	switch name {
	case "a":
		r.queues, r.segments, r.sets = true, true, true
	case "q":
		r.queues = true
	case "m":
		r.segments = true
	case "s":
		r.sets = true
	case "t":
		r.view = times
	case "p":
		r.view = pids
	case "c":
		r.view = creators
	case "l":
		r.view = limits
	case "u":
		r.view = summary
	case "human":
		r.unit = human
	case "b":
		r.unit = bytes
	}
}

func (r *request) kinds() int {
	n := 0
	for _, asked := range []bool{r.queues, r.segments, r.sets} {
		if asked {
			n++
		}
	}
	return n
}

// identifier parses an identifier and rejects negative ones.
func identifier(s string) (int, error) {
	id, err := program.ParseID(s)
	if err == nil && id < 0 {
		err = syscall.ERANGE
	}
	return id, err
}

func (l *lister) list() int {
	l.print("\n")
	status := program.Success
	for _, kind := range []struct {
		asked bool
		list  func() error
	}{
		{l.queues, l.listQueues},
		{l.segments, l.listSegments},
		{l.sets, l.listSets},
	} {
		if !kind.asked {
			continue
		}
		if err := kind.list(); err != nil {
			status = l.FailError("listing failed", err)
		}
		l.print("\n")
	}
	return status
}

func (l *lister) print(s string) { _, _ = l.Out.WriteString(s) }
