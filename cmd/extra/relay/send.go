package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/shmring"
)

// A Route is where messages travel: a subject without wildcards, which belongs to one sending
// and one receiving ring, on a connection. Several routes may share a connection. The
// connection should reconnect for ever (nats.MaxReconnects(-1)) and must not buffer messages
// meanwhile (nats.ReconnectBufSize(-1)); both are only about speed.
type Route struct {
	Conn    *nats.Conn
	Subject string
}

// Options holds options of Send and Receive. nil means the zero value.
type Options struct {
	// Log gets a line when a route fails, is slow, or works again; not one for each message
	// or attempt. nil logs nothing.
	Log *slog.Logger
}

// Errors of Send and Receive.
var (
	// ErrSubject means that a subject cannot be used, or belongs to other rings.
	ErrSubject = errors.New("subject is not to be used")
	// ErrRefused means that the other relay refuses the messages.
	ErrRefused = errors.New("the other relay refuses")
	// ErrConnection means that a connection is closed for good: by its owner, or because the
	// server rejects its credentials.
	ErrConnection = errors.New("connection to the NATS server is closed")
)

// Send takes the consumer's role of the ring, and passes each message on along every route,
// until ctx is done or there is an error. It releases a message when the rings at the ends of
// all routes have it, so the slowest route sets the pace. What was not acknowledged stays in
// the ring for the next Send.
//
// A ring outlives its producers here: Send waits for the next one (but only with
// shmring.NamedOptions.Outlive do producers wait for the next Send). Send blocks; it copes
// with servers and receivers that are not there yet, or go away.
//
// Errors: that of ctx; those of JoinConsumer and Receive; ErrSubject; ErrRefused (a message is
// too long for the other ring, or it has another sender); ErrConnection; ErrFault of shmring.
func Send(ctx context.Context, ring *shmring.Ring, routes []Route, o *Options) error {
	if len(routes) == 0 {
		return fmt.Errorf("relay: %w: there is no route", ErrSubject)
	}
	for _, r := range routes {
		if err := CheckSubject(r.Subject); err != nil {
			return err
		}
	}
	var consumer *shmring.Consumer
	err := memory.Guard(func() (err error) { consumer, err = ring.JoinConsumer(); return err })
	if err != nil {
		return err
	}
	err = sendAll(ctx, consumer, ring.ID(), routes, o.logger())
	return leave(err, func() error {
		consumer.Rewind() // otherwise Close would release messages that were not acknowledged
		return consumer.Close()
	})
}

// leave gives a role back, unless the memory is gone.
func leave(err error, closeRole func() error) error {
	if errors.Is(err, memory.ErrFault) {
		return err
	}
	return errors.Join(err, memory.Guard(closeRole))
}

// sendAll runs the source and the routes until one of them fails.
func sendAll(ctx context.Context, consumer *shmring.Consumer, ring id, routes []Route, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := newSource(consumer, len(routes))
	host := hostname()
	var running sync.WaitGroup
	for i, r := range routes {
		running.Go(func() {
			to := &sender{
				Route: r, source: s, cursor: s.routes[i], ring: ring, host: host,
				log: log.With("subject", r.Subject), replies: make(chan *nats.Msg, 2*windowMessages),
			}
			cancel(to.run(ctx))
		})
	}
	err := memory.Guard(func() error { return s.run(ctx) })
	cancel(err)
	running.Wait()
	return context.Cause(ctx)
}

func (o *Options) logger() *slog.Logger {
	if o == nil || o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "?"
	}
	return name
}

// CheckSubject returns ErrSubject if messages cannot be published on the subject: it is empty,
// has wildcards, spaces or empty tokens, or belongs to the server.
func CheckSubject(subject string) error {
	bad := strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, "_INBOX.")
	for token := range strings.SplitSeq(subject, ".") {
		bad = bad || token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == '*' || r == '>' || r == 0x7f })
	}
	if bad {
		return fmt.Errorf("relay: %w: %q; it takes words joined by dots, without * and >", ErrSubject, subject)
	}
	return nil
}
