//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ctxio"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/shmring"
)

func sendCommand() *cli.Command {
	return &cli.Command{
		Name:         "send",
		Usage:        "pass standard input through shared memory to gshm recv",
		ArgsUsage:    "REF",
		BashComplete: command.CompleteWith(everyRef),
		Description: "Either side may create the object (--create); the other one waits for it.\n" +
			"gshm send ends when the receiver has written everything.",
		Flags:  ringFlags(),
		Action: send,
	}
}

func send(c *cli.Context) error {
	o, err := ringOptions(c)
	if err != nil {
		return err
	}
	return exchange(c, o, rendezvous.Meet, "receiver", sendAll)
}

// sendAll closes the ring only after everything has arrived. Otherwise it ends without
// closing, which tells the receiver that something is missing.
func sendAll(ctx context.Context, m *rendezvous.Meeting, rate *statusline.Rate) error {
	producer, err := m.JoinProducer()
	if err != nil {
		return err
	}
	if err := m.Await(ctx, "receiver", func(m shmring.Members) bool { return m.Consumer }); err != nil {
		return err
	}
	rate.Resume()
	in := rate.Reader(ctxio.NewReader(ctx, os.Stdin, producer.CheckConsumer))
	if m.Ring().Producers() == shmring.Many {
		err = sendLines(ctx, producer, m.Ring().MaxMessage(), in)
	} else if err = m.Settle(); err == nil {
		widenPipe(os.Stdin)
		_, err = producer.Writer(ctx).ReadFrom(in)
	}
	if err == nil {
		err = producer.Flush(ctx)
	}
	if err != nil {
		return err
	}
	return producer.Close()
}

// sendLines sends each line as a message, including its newline, which the last line may
// lack.
func sendLines(ctx context.Context, producer *shmring.Producer, longest int, in io.Reader) error {
	const usual = 64 << 10
	buf := make([]byte, 0, min(usual, longest+1))
	var lines [][]byte
	for {
		n, readErr := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		rest := buf
		lines = lines[:0]
		for end := bytes.IndexByte(rest, '\n') + 1; end > 0; end = bytes.IndexByte(rest, '\n') + 1 {
			lines, rest = append(lines, rest[:end]), rest[end:]
		}
		if errors.Is(readErr, io.EOF) && len(rest) > 0 {
			lines, rest = append(lines, rest), nil
		}
		if _, err := producer.SendBatch(ctx, lines); err != nil {
			return tooLong(err, longest)
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return nil
		case readErr != nil:
			return readErr
		case len(rest) > longest:
			return tooLong(shmring.ErrTooLarge, longest)
		}
		if len(rest) == cap(buf) { // one line fills the buffer
			buf = make([]byte, 0, min(2*cap(buf), longest+1))
		}
		buf = append(buf[:0], rest...)
	}
}

func tooLong(err error, longest int) error {
	if errors.Is(err, shmring.ErrTooLarge) {
		return explain.As(err, fmt.Sprintf("a line is longer than the %d bytes that this ring can take; --size makes a larger one", longest))
	}
	return err
}
