// Package ipcrm is ipcrm(1) of util-linux 2.38.1 with the POSIX options of 2.41, made
// safe where the original is dangerous; docs/compat.md lists the differences.
//
// It removes objects in command-line order. If there is an error, it has removed the
// objects before it, like util-linux, and scripts rely on that; but -a removes nothing
// unless the whole command line is valid.
package ipcrm

import (
	"os"
	"os/signal"
	"slices"
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
	// A reader that closes the pipe must not end ipcrm before everything is removed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // Reset does not undo Ignore
	status := run(&remover{Program: p}, args)
	signal.Reset(syscall.SIGPIPE)
	return p.Exit(status)
}

// A remover removes objects and records whether any removal failed.
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
	// With -a, an operand may be meant as its argument: "-a shm" must not remove
	// everything.
	leftOver := wrong == nil && len(parsed.Operands) > 0
	refused := leftOver && slices.ContainsFunc(parsed.Matches, func(m getopt.Match) bool { return m.Name == "a" })
	var all []func(*remover)
	for _, m := range parsed.Matches {
		switch m.Name {
		case "h":
			return r.PrintHelp(help)
		case "V":
			return r.PrintVersion()
		case "a": // the last -a wins
			if all = allOf(m); all == nil {
				return r.Fail("unknown argument: " + m.Value)
			}
		default:
			if !refused {
				r.carryOut(m)
			}
		}
	}
	switch {
	case wrong != nil:
		return r.BadOption(wrong)
	case refused:
		return r.refuse(parsed.Operands[0])
	}
	for _, removeAll := range all {
		removeAll(r)
	}
	if leftOver {
		r.Warn("unknown argument: " + parsed.Operands[0])
		return r.Misuse()
	}
	return r.status()
}

// kindOf returns the kind called word.
func kindOf(word string) (sysv.Kind, bool) {
	for _, kind := range []sysv.Kind{sysv.Shm, sysv.Sem, sysv.Msg} {
		if word == kind.String() {
			return kind, true
		}
	}
	return 0, false
}

// allOf returns functions that remove what -a asks for, or nil if its argument is not a
// kind.
func allOf(m getopt.Match) []func(*remover) {
	if !m.HasValue {
		return []func(*remover){allOfKind("shm"), allOfKind("sem"), allOfKind("msg")}
	}
	if removeAll := allOfKind(m.Value); removeAll != nil {
		return []func(*remover){removeAll}
	}
	return nil
}

// allOfKind returns a function that removes all objects of the kind called word, or nil
// if there is no such kind.
func allOfKind(word string) func(*remover) {
	if kind, ok := kindOf(word); ok {
		return func(r *remover) { r.removeAll(kind) }
	}
	if kind, ok := namedKindOf(word); ok {
		return func(r *remover) { r.removeAllNamed(kind) }
	}
	return nil
}

// refuse reports a command line with -a and an operand.
func (r *remover) refuse(operand string) int {
	r.Warn("unknown argument: " + operand)
	if allOfKind(operand) != nil {
		r.Warn("nothing was removed; to remove all of one kind write --all=" + operand)
	} else {
		r.Warn("nothing was removed")
	}
	return r.Misuse()
}
