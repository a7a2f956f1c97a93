//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ctxio"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/shmring"
)

func subCommand() *cli.Command {
	return &cli.Command{
		Name:         "sub",
		Usage:        "write what gshm pub publishes to standard output",
		ArgsUsage:    "REF",
		BashComplete: command.CompleteWith(everyRef),
		Description: "It waits for a publisher, and ends when that one ends.\n" +
			"A subscriber that is too slow loses messages, but delays nobody. The loss\n" +
			"is reported at the end, with status 1. --latest makes it no failure.",
		Flags: slices.Concat(meetFlags(), []cli.Flag{
			framingFlag("raw"),
			&cli.BoolFlag{Name: "latest", Usage: "losing messages is no failure", DisableDefaultText: true},
			&cli.BoolFlag{Name: "block", Aliases: []string{"b"}, Usage: "lose nothing: the publisher waits", DisableDefaultText: true},
			&cli.BoolFlag{Name: "from-oldest", Aliases: []string{"o"}, Usage: "begin with the oldest message that is still there", DisableDefaultText: true},
			&cli.StringFlag{Name: "count", Aliases: []string{"n"}, Usage: "end after `N` messages"},
			&cli.StringFlag{Name: "label", Usage: "a name for the publisher's messages, `TEXT`"},
		}),
		Action: sub,
	}
}

// A subscriber holds the flags of gshm sub and the number of lost messages.
type subscriber struct {
	policy  shmring.Policy
	options shmring.SubscribeOptions
	left    uint64 // messages to receive before it ends
	frame   framer
	out     *bufio.Writer
	lost    uint64
}

func sub(c *cli.Context) error {
	o, err := meetOptions(c)
	if err != nil {
		return err
	}
	s := subscriber{policy: shmring.Latest, left: math.MaxUint64}
	s.options = shmring.SubscribeOptions{Label: c.String("label"), FromOldest: c.Bool("from-oldest")}
	switch {
	case c.Bool("latest") && c.Bool("block"):
		return command.Usagef("--latest and --block exclude each other")
	case len(s.options.Label) > maxLabel:
		return command.Usagef("--label: at most %d bytes", maxLabel)
	case c.Bool("block"):
		s.policy = shmring.Block
	}
	if s.frame, err = framerFlag(c); err != nil {
		return err
	}
	if c.IsSet("count") {
		s.left, err = units.ParseUint("number of messages", c.String("count"), math.MaxInt64)
		if err == nil && s.left == 0 {
			err = errors.New("the least is 1")
		}
		if err != nil {
			return command.Usagef("--count: %w", err)
		}
	}
	err = exchange(c, o, rendezvous.FindBroadcast, "publisher", s.subscribe)
	return s.reportLoss(c, err)
}

// maxLabel is the longest label of a subscriber.
const maxLabel = 32

// reportLoss reports how many messages were lost, if any. err is the error of the command
// so far.
func (s *subscriber) reportLoss(c *cli.Context, err error) error {
	if s.lost == 0 {
		return err
	}
	lost := fmt.Errorf("%d messages were lost: the publisher was faster; --block makes it wait", s.lost)
	if s.lost == 1 {
		lost = errors.New("1 message was lost: the publisher was faster; --block makes it wait")
	}
	if err == nil && !c.Bool("latest") {
		return lost
	}
	command.Report(c.App.ErrWriter, c.App.Name, lost)
	return err
}

// subscribe writes messages until the publisher has closed.
func (s *subscriber) subscribe(ctx context.Context, b *rendezvous.Broadcast, rate *statusline.Rate) error {
	sub, err := b.Subscribe(s.policy, &s.options)
	if err != nil {
		return err
	}
	defer func() { s.lost = sub.Lost() }()
	msg, ok, err := b.AwaitWriter(ctx, sub)
	if err == nil {
		rate.Resume()
		widenPipe(os.Stdout)
		s.out = bufio.NewWriterSize(rate.Writer(ctxio.NewWriter(ctx, os.Stdout)), 64<<10)
		err = s.receive(ctx, sub, msg, ok)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, sub.Close())
}

// receive writes messages, beginning with msg if ok is set. Before it waits, it writes
// everything that has arrived.
func (s *subscriber) receive(ctx context.Context, sub *shmring.Subscription, msg []byte, ok bool) (err error) {
	for {
		if !ok {
			if flushErr := s.out.Flush(); flushErr != nil {
				return flushErr
			}
			if err != nil { // the error of TryReceive
				return err
			}
			if msg, err = sub.Receive(ctx); err != nil {
				return err
			}
		}
		if err := s.frame(s.out, msg); err != nil {
			return err
		}
		if s.left--; s.left == 0 {
			return s.out.Flush()
		}
		msg, ok, err = sub.TryReceive()
	}
}
