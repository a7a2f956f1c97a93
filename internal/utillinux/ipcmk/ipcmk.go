// Package ipcmk is ipcmk(1) of util-linux 2.38.1; docs/compat.md lists the
// differences.
package ipcmk

import (
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"strconv"
	"syscall"

	"github.com/sysvipc/gipc/internal/getopt"
	"github.com/sysvipc/gipc/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

const help = `
Usage:
 NAME [options]

Make System V IPC objects and print their identifiers.

Options:
 -M, --shmem <size>       make a shared memory segment of <size> bytes
 -S, --semaphore <number> make a set of <number> semaphores
 -Q, --queue              make a message queue
 -p, --mode <mode>        permissions of what is made, in octal (0644 if left out)

 -h, --help               print this help
 -V, --version            print the version

Arguments:
 <size> may be followed by a unit: K, M, G, T, P, E or
   KiB, MiB and so on for powers of 1024, KB, MB and so on for powers of 1000

More: ipcmk(1), gipcs(1)
`

// request is what a command line asks for.
type request struct {
	segment, set, queue bool
	size                uint64
	nsems               int
	mode                fs.FileMode
}

// Main runs ipcmk.
func Main(args []string, env program.Env) int {
	p := program.Start(env)
	return p.Exit(run(p, args))
}

func run(p *program.Program, args []string) int {
	parsed, wrong := p.Options([]getopt.Option{
		{Names: []string{"M", "shmem"}, Arg: getopt.RequiredArgument},
		{Names: []string{"S", "semaphore"}, Arg: getopt.RequiredArgument},
		{Names: []string{"Q", "queue"}},
		{Names: []string{"p", "mode"}, Arg: getopt.RequiredArgument},
		{Names: []string{"V", "version"}},
		{Names: []string{"h", "help"}},
	}, args)
	r := request{mode: 0o644}
	for _, m := range parsed.Matches {
		var err error
		switch m.Name {
		case "h":
			return p.PrintHelp(help)
		case "V":
			return p.PrintVersion()
		case "Q":
			r.queue = true
		case "M":
			if r.size, err = parseSize(m.Value); err != nil {
				return p.FailError("failed to parse size: '"+m.Value+"'", err)
			}
			r.segment = true
		case "S":
			if r.nsems, err = program.ParseID(m.Value); err != nil {
				return p.FailNumber("failed to parse elements", m.Value, err)
			}
			r.set = true
		case "p":
			mode, err := program.ParseInt(m.Value, 8, 0, 0o777)
			if err != nil {
				return p.FailError("failed to parse mode", err)
			}
			r.mode = fs.FileMode(mode)
		}
	}
	switch {
	case wrong != nil:
		return p.BadOption(wrong)
	case !r.segment && !r.set && !r.queue:
		p.Warn("bad usage")
		return p.Misuse()
	}
	return r.create(p)
}

func (r request) create(p *program.Program) int {
	for _, object := range []struct {
		asked        bool
		made, failed string
		create       func(sysv.Key) (int, error)
	}{
		{r.segment, "Shared memory id: ", "create share memory failed", r.createSegment},
		{r.queue, "Message queue id: ", "create message queue failed", r.createQueue},
		{r.set, "Semaphore id: ", "create semaphore failed", r.createSet},
	} {
		if !object.asked {
			continue
		}
		id, err := underFreeKey(object.create)
		if err != nil {
			return p.FailError(object.failed, err)
		}
		_, _ = p.Out.WriteString(object.made + strconv.Itoa(id) + "\n")
	}
	return program.Success
}

func (r request) createSegment(key sysv.Key) (int, error) {
	if r.size > math.MaxInt64 {
		return 0, syscall.EINVAL
	}
	s, err := sysv.CreateSegment(key, int64(r.size), sysv.SegmentOptions{Mode: r.mode, Exclusive: true})
	return int(s), err
}

func (r request) createQueue(key sysv.Key) (int, error) {
	q, err := sysv.CreateQueue(key, sysv.QueueOptions{Mode: r.mode, Exclusive: true})
	return int(q), err
}

func (r request) createSet(key sysv.Key) (int, error) {
	s, err := sysv.CreateSet(key, r.nsems, sysv.SetOptions{Mode: r.mode, Exclusive: true})
	return int(s), err
}

// underFreeKey tries random keys until it meets one that is not taken. So it never
// takes somebody else's object for its own.
func underFreeKey(create func(sysv.Key) (int, error)) (int, error) {
	for {
		key := sysv.Key(rand.Uint32())
		if key == sysv.Private {
			continue
		}
		id, err := create(key)
		if !errors.Is(err, fs.ErrExist) {
			return id, err
		}
	}
}
