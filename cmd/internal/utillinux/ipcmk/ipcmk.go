// Package ipcmk is ipcmk(1) of util-linux 2.38.1 with the POSIX options of 2.40;
// docs/compat.md lists the differences.
package ipcmk

import (
	"io/fs"
	"math"
	"strconv"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

const help = `
Usage:
 NAME [options]

Make System V and POSIX IPC objects and print their identifiers or names.

Options:
 -M, --shmem <size>       make a shared memory segment of <size> bytes
 -m, --posix-shmem <size> make a POSIX shared memory object of <size> bytes
 -S, --semaphore <number> make a set of <number> semaphores
 -s, --posix-semaphore    make a POSIX semaphore
 -Q, --queue              make a message queue
 -q, --posix-mqueue       make a POSIX message queue
 -p, --mode <mode>        permissions of what is made, in octal (0644 if left out)
 -n, --name <name>        name of the POSIX object

 -h, --help               print this help
 -V, --version            print the version

Arguments:
 <size> may be followed by a unit: K, M, G, T, P, E or
   KiB, MiB and so on for powers of 1024, KB, MB and so on for powers of 1000

 -n, --name <name> has to be given for POSIX objects

More: ipcmk(1), gipcs(1)
`

// A request is a parsed command line.
type request struct {
	segment, set, queue       bool
	object, semaphore, mqueue bool // POSIX kinds
	size, objectSize          uint64
	nsems                     int
	mode                      fs.FileMode
	name                      string // of the POSIX objects
	named                     bool
}

// Main runs ipcmk.
func Main(args []string, env program.Env) int {
	p := program.Start(env)
	return p.Exit(run(p, args))
}

func run(p *program.Program, args []string) int {
	parsed, wrong := p.Options([]getopt.Option{
		{Names: []string{"M", "shmem"}, Arg: getopt.RequiredArgument},
		{Names: []string{"m", "posix-shmem"}, Arg: getopt.RequiredArgument},
		{Names: []string{"S", "semaphore"}, Arg: getopt.RequiredArgument},
		{Names: []string{"s", "posix-semaphore"}},
		{Names: []string{"Q", "queue"}},
		{Names: []string{"q", "posix-mqueue"}},
		{Names: []string{"p", "mode"}, Arg: getopt.RequiredArgument},
		{Names: []string{"n", "name"}, Arg: getopt.RequiredArgument},
		{Names: []string{"V", "version"}},
		{Names: []string{"h", "help"}},
	}, args)
	r := request{mode: 0o644}
	for _, m := range parsed.Matches {
		switch m.Name {
		case "h":
			return p.PrintHelp(help)
		case "V":
			return p.PrintVersion()
		}
		if !r.option(p, m) {
			return program.Failure
		}
	}
	posix := r.object || r.semaphore || r.mqueue
	switch {
	case wrong != nil:
		return p.BadOption(wrong)
	case !r.segment && !r.set && !r.queue && !posix:
		p.Warn("bad usage")
		return p.Misuse()
	case posix && !r.named:
		p.Warn("name is required for POSIX IPC")
		return p.Misuse()
	}
	return r.create(p)
}

// option applies an option. If it is invalid, option reports that and returns false.
func (r *request) option(p *program.Program, m getopt.Match) (ok bool) {
	var err error
	switch m.Name {
	case "Q":
		r.queue = true
	case "q":
		r.mqueue = true
	case "s":
		r.semaphore = true
	case "n":
		r.name, r.named = m.Value, true
	case "M":
		r.segment = true
		r.size, err = parseSize(m.Value)
	case "m":
		r.object = true
		r.objectSize, err = parseSize(m.Value)
	case "S":
		r.set = true
		if r.nsems, err = program.ParseID(m.Value); err != nil {
			p.WarnNumber("failed to parse elements", m.Value, err)
			return false
		}
	case "p":
		var mode int64
		if mode, err = program.ParseInt(m.Value, 8, 0, 0o777); err != nil {
			p.WarnError("failed to parse mode", err)
			return false
		}
		r.mode = fs.FileMode(mode)
	}
	if err != nil {
		p.WarnError("failed to parse size: '"+m.Value+"'", err)
	}
	return err == nil
}

func (r request) create(p *program.Program) int {
	for _, object := range []struct {
		asked        bool
		made, failed string
		create       func() (string, error)
	}{
		{r.segment, "Shared memory id: ", "create share memory failed", underFreeKey(r.createSegment)},
		{r.object, "POSIX shared memory name: ", "create POSIX shared memory failed", r.createObject},
		{r.queue, "Message queue id: ", "create message queue failed", underFreeKey(r.createQueue)},
		{r.mqueue, "POSIX message queue name: ", "create POSIX message queue failed", r.createMqueue},
		{r.set, "Semaphore id: ", "create semaphore failed", underFreeKey(r.createSet)},
		{r.semaphore, "POSIX semaphore name: ", "create POSIX semaphore failed", r.createSemaphore},
	} {
		if !object.asked {
			continue
		}
		called, err := object.create()
		if err != nil {
			return p.FailError(object.failed, err)
		}
		_, _ = p.Out.WriteString(object.made + called + "\n")
	}
	return program.Success
}

func (r request) createSegment(key sysv.Key) (int, error) {
	if r.size > math.MaxInt64 {
		return 0, syscall.EINVAL
	}
	s, err := sysv.CreateSegment(key, int64(r.size), &sysv.SegmentOptions{Mode: sysvipc.Mode(r.mode)})
	return int(s), err
}

func (r request) createQueue(key sysv.Key) (int, error) {
	q, err := sysv.CreateQueue(key, &sysv.QueueOptions{Mode: sysvipc.Mode(r.mode)})
	return int(q), err
}

func (r request) createSet(key sysv.Key) (int, error) {
	s, err := sysv.CreateSet(key, r.nsems, &sysv.SetOptions{Mode: sysvipc.Mode(r.mode)})
	return int(s), err
}

// underFreeKey returns a function that creates an object under a free key and returns its
// identifier. It never takes over an existing object.
func underFreeKey(create func(sysv.Key) (int, error)) func() (string, error) {
	return func() (string, error) {
		id, err := sysvipc.UnderFreeKey(create)
		return strconv.Itoa(id), err
	}
}
