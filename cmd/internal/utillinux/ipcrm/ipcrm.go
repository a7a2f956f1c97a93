// Package ipcrm is ipcrm(1) of util-linux 2.38.1 with the POSIX options of 2.41, made
// safe where that is dangerous; docs/compat.md lists the differences.
//
// The whole command line is read before anything is removed: one that is wrong
// removes nothing. An argument that names no object is reported and the others are
// removed.
package ipcrm

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

const help = `
Usage:
 NAME [options]
 NAME shm|msg|sem <id>...

Remove System V and POSIX IPC objects.

Options:
 -m, --shmem-id <id>           the shared memory segment with this identifier
 -M, --shmem-key <key>         the shared memory segment with this key
     --posix-shmem <name>      the POSIX shared memory object with this name
 -q, --queue-id <id>           the message queue with this identifier
 -Q, --queue-key <key>         the message queue with this key
     --posix-mqueue <name>     the POSIX message queue with this name
 -s, --semaphore-id <id>       the semaphore set with this identifier
 -S, --semaphore-key <key>     the semaphore set with this key
     --posix-semaphore <name>  the POSIX semaphore with this name
 -a, --all[=shm|pshm|msg|pmsg|sem|psem]
                               all of one kind, or of the kinds of System V
 -v, --verbose                 say what is removed

 -h, --help                 print this help
 -V, --version              print the version

More: ipcrm(1), gipcs(1)
`

// Main runs ipcrm.
func Main(args []string, env program.Env) int {
	if len(args) == 0 {
		return program.Success
	}
	p := program.Start(env)
	// If nobody reads what is printed that must not end it before all is removed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // Reset does not undo Ignore
	status := run(&remover{Program: p}, args)
	signal.Reset(syscall.SIGPIPE)
	return p.Exit(status)
}

// remover removes objects and knows whether all could be.
type remover struct {
	*program.Program
	verbose bool
	failed  bool
}

func (r *remover) status() int {
	if r.failed {
		return program.Failure
	}
	return program.Success
}

func run(r *remover, args []string) int {
	if kind, ok := kindOf(args[0]); ok {
		return r.legacy(kind, args[1:])
	}
	parsed, wrong := r.Options([]getopt.Option{
		{Names: []string{"m", "shmem-id"}, Arg: getopt.RequiredArgument},
		{Names: []string{"M", "shmem-key"}, Arg: getopt.RequiredArgument},
		{Names: []string{"posix-shmem"}, Arg: getopt.RequiredArgument},
		{Names: []string{"q", "queue-id"}, Arg: getopt.RequiredArgument},
		{Names: []string{"Q", "queue-key"}, Arg: getopt.RequiredArgument},
		{Names: []string{"posix-mqueue"}, Arg: getopt.RequiredArgument},
		{Names: []string{"s", "semaphore-id"}, Arg: getopt.RequiredArgument},
		{Names: []string{"S", "semaphore-key"}, Arg: getopt.RequiredArgument},
		{Names: []string{"posix-semaphore"}, Arg: getopt.RequiredArgument},
		{Names: []string{"a", "all"}, Arg: getopt.OptionalArgument},
		{Names: []string{"v", "verbose"}},
		{Names: []string{"V", "version"}},
		{Names: []string{"h", "help"}},
	}, args)
	all, status, done := r.check(parsed, wrong)
	if done {
		return status
	}
	for _, m := range parsed.Matches {
		r.carryOut(m)
	}
	for _, removeAll := range all {
		removeAll(r)
	}
	return r.status()
}

// kindOf returns the kind that a word of the command line names.
func kindOf(word string) (sysv.Kind, bool) {
	for _, kind := range []sysv.Kind{sysv.Shm, sysv.Sem, sysv.Msg} {
		if word == kind.String() {
			return kind, true
		}
	}
	return 0, false
}

// check looks through the whole command line. It returns what removes all of the
// kinds that are to go, or that there is nothing to be done any more.
func (r *remover) check(parsed getopt.Result, wrong error) (all []func(*remover), status int, done bool) {
	for _, m := range parsed.Matches {
		switch m.Name {
		case "h":
			return nil, r.PrintHelp(help), true
		case "V":
			return nil, r.PrintVersion(), true
		case "a": // the last one counts
			switch {
			case !m.HasValue:
				all = []func(*remover){allOf("shm"), allOf("sem"), allOf("msg")}
			case allOf(m.Value) != nil:
				all = []func(*remover){allOf(m.Value)}
			default:
				return nil, r.Fail("unknown argument: " + m.Value), true
			}
		}
	}
	switch {
	case wrong != nil:
		return nil, r.BadOption(wrong), true
	case len(parsed.Operands) > 0:
		return nil, r.leftOver(parsed.Operands[0], len(parsed.Matches) > 0, all != nil), true
	}
	return all, 0, false
}

// allOf returns what removes all objects of the kind that an argument of -a names,
// nil if it names none.
func allOf(word string) func(*remover) {
	if kind, ok := kindOf(word); ok {
		return func(r *remover) { r.removeAll(kind) }
	}
	if kind, ok := namedKindOf(word); ok {
		return func(r *remover) { r.removeAllNamed(kind) }
	}
	return nil
}

// leftOver refuses a command line with an operand, whose options are not carried out.
// Removing everything where only all of one kind was meant is what it must not
// come to.
func (r *remover) leftOver(operand string, options, all bool) int {
	r.Warn("unknown argument: " + operand)
	switch {
	case all && allOf(operand) != nil:
		r.Warn("nothing was removed; to remove all of one kind write --all=" + operand)
	case options:
		r.Warn("nothing was removed")
	}
	return r.Misuse()
}
