//go:build linux

// Gshm-relay copies rings into rings on other machines, over NATS. See gshm-relay(1) or
// gshm-relay --help.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/internal/natsauth"
	"github.com/sysvipc/gipc/cmd/extra/relay"
	"github.com/sysvipc/gipc/cmd/internal/command"
)

func main() { os.Exit(command.Run(app(), os.Args)) }

const description = `What is put into a ring here comes out of a ring there, in order and
exactly once as long as both rings live. A URL is nats://HOST[:PORT]/SUBJECT,
or tls://, ws:// or wss://; several hosts are joined by commas. With several
REFs, the * in SUBJECT stands for the name of each.

   gshm relay /jobs --to nats://hub/site1.jobs
   gshm relay /jobs --from nats://hub/site1.jobs

It runs until it is interrupted, and loses nothing then. The environment may
have NATS_USER and NATS_PASSWORD, or NATS_TOKEN.`

func app() *cli.App {
	return &cli.App{
		Name:        "gshm-relay",
		Usage:       "copy a ring into rings on other machines, over NATS",
		UsageText:   "gshm relay REF... --to URL [--to URL]...\ngshm relay REF... --from URL",
		Description: description,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "to", Aliases: []string{"t"}, Usage: "send to `URL`; may be repeated"},
			&cli.StringFlag{Name: "from", Aliases: []string{"f"}, Usage: "receive from `URL`"},
			&cli.BoolFlag{Name: "create", Aliases: []string{"c"}, Usage: "create the object if missing; it stays", DisableDefaultText: true},
			&cli.StringFlag{Name: "size", Aliases: []string{"s"}, Value: "16MiB", Usage: "with --create: `SIZE` of the ring"},
			&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Value: "0600", Usage: "with --create: permissions, `OCTAL`"},
			&cli.BoolFlag{Name: "messages", Usage: "with --create --to: a ring for several senders", DisableDefaultText: true},
			&cli.BoolFlag{Name: "broadcast", Usage: "with --create --from: a broadcast, as of gshm pub", DisableDefaultText: true},
			&cli.StringFlag{Name: "peer-owner", Usage: "also use an object that `USER` created"},
		}, natsauth.Flags()),
		BashComplete: command.CompleteWith(everyRef),
		Action:       run,
	}
}

// options holds what the command line says.
type options struct {
	refs []object
	to   []address
	from *address // nil: send
	made making
	auth natsauth.Auth
}

func readOptions(c *cli.Context) (o options, err error) {
	args, err := command.Operands(c, 1, -1, "REF")
	if err != nil {
		return o, err
	}
	for _, arg := range args {
		ref, err := parseObject(arg)
		if err != nil {
			return o, err
		}
		o.refs = append(o.refs, ref)
	}
	for _, text := range c.StringSlice("to") {
		a, err := parseAddress(text)
		if err != nil {
			return o, command.Usagef("--to: %w", err)
		}
		o.to = append(o.to, a)
	}
	if c.IsSet("from") {
		a, err := parseAddress(c.String("from"))
		if err != nil {
			return o, command.Usagef("--from: %w", err)
		}
		o.from = &a
	}
	if (o.from == nil) == (len(o.to) == 0) {
		return o, command.Usagef("give --to URL to send, or --from URL to receive")
	}
	for _, a := range o.all() {
		for _, r := range o.refs {
			if _, err := a.subjectOf(r.name(), len(o.refs)); err != nil {
				return o, command.Usage(err)
			}
		}
	}
	if o.made, err = readMaking(c, o.from == nil); err != nil {
		return o, err
	}
	o.auth, err = natsauth.Read(c)
	return o, err
}

// all returns the addresses.
func (o *options) all() []address {
	if o.from != nil {
		return []address{*o.from}
	}
	return o.to
}

func run(c *cli.Context) error {
	o, err := readOptions(c)
	if err != nil {
		return err
	}
	ctx, stop := command.Interruptible(context.Background())
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	d := dialer{auth: o.auth, log: log}
	defer d.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for _, r := range o.refs {
		routes, err := d.routes(o.all(), r.name(), len(o.refs))
		if err != nil {
			cancel(err)
			break
		}
		running.Go(func() {
			if err := relayOne(ctx, &o, r, routes, log); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// relayOne relays one ring until ctx is done.
func relayOne(ctx context.Context, o *options, r object, routes []relay.Route, log *slog.Logger) error {
	log = log.With("ref", command.OneLine(r.String()))
	how := &relay.Options{Log: log}
	found, err := r.open(ctx, &o.made, o.from == nil, log)
	if err != nil {
		return err
	}
	switch {
	case found.broadcast != nil:
		err = relay.ReceiveBroadcast(ctx, found.broadcast, routes[0], how)
	case o.from != nil:
		err = relay.Receive(ctx, found.ring, routes[0], how)
	default:
		err = relay.Send(ctx, found.ring, routes, how)
	}
	return r.explain(errors.Join(err, found.close()), o.from == nil, o.made.size())
}
