// Meet is two programs that meet in a ring by its name and outlive each other. Kill either
// one and start it again: nothing is lost. Neither has code for the death of the other.
//
//	$ go run ./examples/meet send </var/log/dpkg.log   # in one terminal, in any order
//	$ go run ./examples/meet receive                   # in another
//
// The sender passes lines of its input. The receiver prints them until Ctrl-C. If a
// receiver is killed, the next one may print its last line again. The ring, with the lines
// that nobody has received, stays until "meet remove".
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sysvipc/gipc/shmring"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "meet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	roles := map[string]func(context.Context, *shmring.Ring) error{
		"send": send, "receive": receive,
		"remove": func(_ context.Context, ring *shmring.Ring) error { return ring.Remove() },
	}
	if len(args) != 1 || roles[args[0]] == nil {
		return errors.New("usage: meet send | receive | remove")
	}
	ring, err := shmring.OpenOrCreate(ctx, "/gipc-example-meet", &shmring.NamedOptions{Outlive: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ring.Close()) }()
	return roles[args[0]](ctx, ring)
}

func send(ctx context.Context, ring *shmring.Ring) (err error) {
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := p.Send(ctx, lines.Bytes()); err != nil { // waits while the ring is full
			return err
		}
	}
	return lines.Err()
}

func receive(ctx context.Context, ring *shmring.Ring) (err error) {
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for line, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", line)
	}
	return nil
}
