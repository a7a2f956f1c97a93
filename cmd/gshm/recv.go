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

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ctxio"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/shmring"
)

func recvCommand() *cli.Command {
	return &cli.Command{
		Name:         "recv",
		Usage:        "receive what gshm send passes, and write it to standard output",
		ArgsUsage:    "REF",
		BashComplete: command.CompleteWith(everyRef),
		Description: "Either side may create the object (--create); the other one waits for it.\n" +
			"With --messages it ends when at least N senders came, and all have ended.",
		Flags: append(ringFlags(),
			&cli.StringFlag{Name: "senders", Aliases: []string{"n"}, Value: "1", Usage: "with --messages: wait for `N` senders"}),
		Action: recv,
	}
}

func recv(c *cli.Context) error {
	o, err := ringOptions(c)
	if err != nil {
		return err
	}
	if c.IsSet("senders") && !c.Bool("messages") {
		return command.Usagef("--senders needs --messages: a stream has one sender")
	}
	senders, err := units.ParseUint("number of senders", c.String("senders"), math.MaxInt32)
	if err == nil && senders == 0 {
		err = errors.New("there is at least one sender")
	}
	if err != nil {
		return command.Usagef("--senders: %w", err)
	}
	return exchange(c, o, rendezvous.Meet, "sender", func(ctx context.Context, m *rendezvous.Meeting, rate *statusline.Rate) error {
		return receiveAll(ctx, m, rate, uint32(senders))
	})
}

// receiveAll closes the ring only after everything was written. Otherwise it ends without
// closing, which tells the senders that something is missing.
func receiveAll(ctx context.Context, m *rendezvous.Meeting, rate *statusline.Rate, senders uint32) error {
	consumer, err := m.JoinConsumer()
	if err != nil {
		return err
	}
	out := rate.Writer(ctxio.NewWriter(ctx, os.Stdout))
	lines := lineReceiver{consumer: consumer, out: bufio.NewWriterSize(out, 64<<10)}
	for ended := uint32(0); ended < senders; ended = m.Ring().Members().Ended {
		who := "sender"
		if ended > 0 {
			who = fmt.Sprintf("more than %d of %d senders", ended, senders)
			rate.Await("waiting for " + who)
		}
		err := m.Await(ctx, who, func(m shmring.Members) bool { return m.Joined > ended })
		if err != nil {
			return err
		}
		rate.Resume()
		if m.Ring().Producers() == shmring.Many {
			err = lines.receive(ctx)
		} else if err = m.Settle(); err == nil {
			widenPipe(os.Stdout)
			_, err = consumer.Reader(ctx).WriteTo(out)
		}
		if err != nil {
			return err
		}
	}
	return consumer.Close()
}

// A lineReceiver writes the lines that it receives.
type lineReceiver struct {
	consumer *shmring.Consumer
	out      *bufio.Writer
	open     bool // the last line has no newline
}

// receive writes lines until all senders have ended. If a sender ends within a line, the
// next line still begins on a line of its own.
func (r *lineReceiver) receive(ctx context.Context) error {
	var lines [256][]byte
	for {
		n, err := r.consumer.ReceiveBatch(ctx, lines[:])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		for _, line := range lines[:n] {
			r.write(line)
		}
		// The next call marks these lines as received.
		if err := r.out.Flush(); err != nil {
			return err
		}
	}
}

// write writes a line. Flush returns its error.
func (r *lineReceiver) write(line []byte) {
	if r.open {
		r.out.WriteByte('\n')
	}
	r.out.Write(line)
	r.open = len(line) > 0 && line[len(line)-1] != '\n'
}
