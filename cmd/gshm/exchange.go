//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os/signal"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/shmring"
)

// createFlags returns the flags of a command that can create the object.
func createFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "create", Aliases: []string{"c"}, Usage: "create the object if missing; remove it at the end", DisableDefaultText: true},
		&cli.StringFlag{Name: "size", Aliases: []string{"s"}, Value: "16MiB", Usage: "with --create: `SIZE` of the ring"},
		&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Value: "0600", Usage: "with --create: permissions, `OCTAL`"},
		command.HugeFlag(),
	}
}

// meetFlags returns the flags of every command that meets another process.
func meetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "populate", Usage: "make all pages present at once", DisableDefaultText: true},
		&cli.StringFlag{Name: "peer-owner", Usage: "also use an object that `USER` created"},
		&cli.StringFlag{Name: "wait", Aliases: []string{"w"}, Value: "1m", Usage: "wait up to `DURATION` for the other side"},
		&cli.BoolFlag{Name: "progress", Usage: "show progress though standard error is no terminal", DisableDefaultText: true},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress", DisableDefaultText: true},
	}
}

// ringFlags returns the flags that send and recv have in common.
func ringFlags() []cli.Flag {
	return slices.Concat(createFlags(), meetFlags(), []cli.Flag{
		&cli.BoolFlag{Name: "messages", Usage: "pass whole lines, of one or several senders", DisableDefaultText: true},
	})
}

// ringOptions returns the options that ringFlags and the operand specify.
func ringOptions(c *cli.Context) (o rendezvous.Options, err error) {
	o, err = meetOptions(c)
	o.Ring.Producers = shmring.One
	if c.Bool("messages") {
		o.Ring.Producers = shmring.Many
	}
	return o, err
}

// meetOptions returns the options that the operand, createFlags and meetFlags specify.
func meetOptions(c *cli.Context) (o rendezvous.Options, err error) {
	args, err := command.Operands(c, 1, 1, "REF")
	if err != nil {
		return o, err
	}
	if o.Ref, err = parseRef(args[0]); err != nil {
		return o, err
	}
	o.Create, o.Populate = c.Bool("create"), c.Bool("populate")
	if o.Wait, err = units.ParseDuration(c.String("wait")); err != nil {
		return o, command.Usagef("--wait: %w", err)
	}
	if c.IsSet("peer-owner") {
		uid, err := command.UserID(c.String("peer-owner"))
		if err != nil {
			return o, command.Usagef("--peer-owner: %w", err)
		}
		o.Ring.Owners = []int{int(uid)}
	}
	if c.Bool("quiet") && c.Bool("progress") {
		return o, command.Usagef("--quiet and --progress exclude each other")
	}
	if o.Create {
		return o, creationFlags(c, &o)
	}
	for _, name := range []string{"size", "mode", "huge"} {
		if c.IsSet(name) {
			return o, command.Usagef("--%s says how the object is made; it needs --create", name)
		}
	}
	return o, nil
}

// creationFlags adds the options for a new object.
func creationFlags(c *cli.Context, o *rendezvous.Options) (err error) {
	if o.Ring.Capacity, err = capacityFlag(c); err != nil {
		return err
	}
	mode, err := command.ModeFlag(c, "mode")
	if err != nil {
		return err
	}
	o.Ring.Mode = sysvipc.Mode(mode)
	if mode == rendezvous.Unfinished {
		return command.Usagef("--mode: %04o marks a ring that is not finished; take another", rendezvous.Unfinished)
	}
	if o.Ring.HugePages, err = command.HugePages(c); err != nil {
		return err
	}
	return creatable(o.Ref, o.Ring.HugePages, false)
}

// capacityFlag returns --size as a power of two.
func capacityFlag(c *cli.Context) (int, error) {
	size, err := command.SizeFlag(c, "size")
	switch {
	case err != nil:
		return 0, err
	case size == 0 || uint64(size) > rendezvous.MaxCapacity:
		return 0, command.Usagef("--size: a ring holds from 1 to %d bytes", uint64(rendezvous.MaxCapacity))
	case size <= rendezvous.MinCapacity:
		return rendezvous.MinCapacity, nil
	}
	return 1 << bits.Len64(uint64(size-1)), nil
}

// untilDone returns a context that is done when the user interrupts. It ignores SIGPIPE,
// because a process killed by it could not remove its object; a write then returns an
// error.
func untilDone(parent context.Context) (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return command.Interruptible(parent)
}

// A meeter finds or makes the ring or broadcast that the options describe.
type meeter[M interface{ Leave() error }] func(context.Context, rendezvous.Options) (M, error)

// exchange meets the other side and then calls work. Messages name the other side by who.
func exchange[M interface{ Leave() error }](
	c *cli.Context, o rendezvous.Options, meet meeter[M], who string, work func(context.Context, M, *statusline.Rate) error,
) error {
	ctx, stop := untilDone(c.Context)
	defer stop()
	leave := func() error { return nil }
	// Any process that may write to a POSIX object can truncate memory that is in use
	// here.
	err := memory.Guard(func() error {
		rate := showRate(c)
		defer rate.Finish()
		rate.Await(fmt.Sprintf("waiting for a %s at %s, for up to %v", who, command.OneLine(o.Ref.String()), o.Wait))
		m, err := meet(ctx, o)
		if err != nil {
			return err
		}
		leave = m.Leave
		return work(ctx, m, rate)
	})
	if errors.Is(err, memory.ErrFault) {
		err = errors.New("somebody has made the object shorter while it was in use")
	}
	return errors.Join(explainExchange(err, who), leave())
}

// showRate shows progress if standard error is a terminal, unless flags say otherwise.
func showRate(c *cli.Context) *statusline.Rate {
	switch {
	case c.Bool("quiet"):
		return statusline.NewRate(nil)
	case c.Bool("progress"):
		return statusline.NewRate(statusline.Always(c.App.ErrWriter))
	}
	return statusline.NewRate(statusline.New(c.App.ErrWriter))
}

// explainExchange returns the error with an explanation for the user.
func explainExchange(err error, who string) error {
	var (
		owner     *rendezvous.OwnerError
		producers *rendezvous.ProducersError
	)
	switch {
	case errors.As(err, &owner):
		name := account.New().UserOrID(owner.UID)
		return explain.As(err, fmt.Sprintf("%v belongs to %s, and not to you or root; --peer-owner %s uses it all the same", owner.Object, name, name))
	case errors.As(err, &producers):
		is := "for a stream of bytes: leave out --messages"
		if producers.Producers == shmring.Many {
			is = "for lines: give --messages"
		}
		return explain.As(err, fmt.Sprintf("the ring in %v is %s", producers.Object, is))
	case errors.Is(err, shmring.ErrPeerDied), errors.Is(err, shmring.ErrClosed):
		return explain.As(err, "the "+who+" has ended too early: not all has arrived")
	}
	return err
}
