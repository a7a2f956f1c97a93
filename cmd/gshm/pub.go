//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ctxio"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/shmring"
)

func pubCommand() *cli.Command {
	return &cli.Command{
		Name:         "pub",
		Usage:        "publish standard input, message by message, to every gshm sub",
		ArgsUsage:    "REF",
		BashComplete: command.CompleteWith(everyRef),
		Description: "Each line is a message, unless --framing says otherwise: null ends it\n" +
			"with a zero byte, length puts 4 bytes of big-endian length before it,\n" +
			"and a SIZE makes every so many bytes one.\n" +
			"gshm pub waits only for subscribers that --block, and for --readers.",
		Flags: slices.Concat(createFlags(), meetFlags(), []cli.Flag{
			framingFlag("SIZE"),
			&cli.StringFlag{Name: "readers", Aliases: []string{"n"}, Value: "0", Usage: "wait for `N` subscribers first"},
			&cli.StringFlag{Name: "max-wait", Usage: "fail if a subscriber that blocks delays for `DURATION`"},
		}),
		Action: pub,
	}
}

// A publication holds the flags of gshm pub.
type publication struct {
	readers int
	maxWait time.Duration
	split   func(longest int) bufio.SplitFunc
}

func pub(c *cli.Context) error {
	o, err := meetOptions(c)
	if err != nil {
		return err
	}
	var p publication
	if p.split, err = splitFlag(c); err != nil {
		return err
	}
	readers, err := units.ParseUint("number of subscribers", c.String("readers"), maxReaders)
	if err != nil {
		return command.Usagef("--readers: %w", err)
	}
	p.readers = int(readers)
	if c.IsSet("max-wait") {
		if p.maxWait, err = units.ParseDuration(c.String("max-wait")); err == nil && p.maxWait == 0 {
			err = errors.New("it must be more than 0")
		}
		if err != nil {
			return command.Usagef("--max-wait: %w", err)
		}
	}
	return exchange(c, o, rendezvous.FindBroadcast, "subscriber", p.publish)
}

// maxReaders is the largest number of subscribers of a broadcast.
const maxReaders = 64

// publish closes the broadcast only after everything was sent. Otherwise it ends without
// closing, which tells the subscribers that something is missing.
func (p publication) publish(ctx context.Context, b *rendezvous.Broadcast, rate *statusline.Rate) error {
	w, err := b.JoinWriter(&shmring.WriterOptions{MaxWait: p.maxWait})
	if err != nil {
		return err
	}
	if p.readers > 0 {
		if err := b.AwaitReaders(ctx, p.readers); err != nil {
			return err
		}
	}
	rate.Resume()
	widenPipe(os.Stdin)
	if err := p.sendAll(ctx, w, b.MaxMessage(), rate.Reader(ctxio.NewReader(ctx, os.Stdin, nil))); err != nil {
		return explainPublish(err, b.MaxMessage())
	}
	return w.Close()
}

// sendAll reads in and sends it message by message.
func (p publication) sendAll(ctx context.Context, w *shmring.BroadcastWriter, longest int, in io.Reader) error {
	const usual = 64 << 10
	room := longest + lengthSize // a message and its length or separator
	whole := &endReader{Reader: in}
	messages := bufio.NewScanner(whole)
	messages.Buffer(make([]byte, min(usual, room)), room)
	split := p.split(longest)
	messages.Split(func(data []byte, atEOF bool) (int, []byte, error) { return split(data, atEOF && whole.ended) })
	for messages.Scan() {
		if err := w.Send(ctx, messages.Bytes()); err != nil {
			return err
		}
	}
	return messages.Err()
}

// An endReader records whether the input has ended. A bufio.Scanner treats every error as
// the end, and so would send half a message.
type endReader struct {
	io.Reader
	ended bool
}

func (r *endReader) Read(p []byte) (n int, err error) {
	n, err = r.Reader.Read(p)
	r.ended = errors.Is(err, io.EOF)
	return n, err
}

// explainPublish returns the error with an explanation for the user.
func explainPublish(err error, longest int) error {
	var slow *shmring.SlowError
	switch {
	case errors.As(err, &slow) && len(slow.Readers) > 0:
		is := "interrupted while it waited for"
		if errors.Is(err, context.DeadlineExceeded) {
			is = "waited in vain for"
		}
		return explain.As(err, fmt.Sprintf("%s a slow subscriber: %v", is, slow.Readers[0]))
	case errors.Is(err, shmring.ErrTooLarge), errors.Is(err, bufio.ErrTooLong):
		return explain.As(err, fmt.Sprintf("a message is longer than the %d bytes that this broadcast can take; --size makes a larger one", longest))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return explain.As(err, "standard input ends within a message")
	}
	return err
}
