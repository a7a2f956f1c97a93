package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Limits of a sender.
const (
	windowMessages = 16      // NATS messages without an acknowledgement
	windowBytes    = 4 << 20 // and their bytes; one more may be under way
	fewMessages    = 2       // NATS messages under way, while which no short batch is published
	longBatch      = 64 << 10
	headerRoom     = 2 << 10 // what headers may take of a server's max_payload
	leastPayload   = 1 << 10 // of a NATS message, if max_payload is tiny
)

// How long a sender waits.
const (
	helloPause = 250 * time.Millisecond // between two hellos
	helloTries = 4                      // hellos without a reply, until that is logged
	quiet      = 200 * time.Millisecond // without a reply, before it asks whether the receiver lives
	askPause   = 500 * time.Millisecond // between two such questions
	idlePause  = 5 * time.Second        // between two such questions without a message under way
	absence    = 2 * time.Second        // without any reply, until the receiver counts as gone
	slowness   = 2 * time.Second        // that the receiver waits for room, until it is logged
)

// A sender is one route of a Send.
type sender struct {
	Route
	source  *source
	cursor  *cursor
	ring    id
	host    string
	log     *slog.Logger
	replies chan *nats.Msg
	changed chan nats.Status

	inbox  string // prefix of reply subjects
	epoch  uint64 // hellos so far: replies to requests before the last one do not count
	number uint64 // requests of data so far

	far     id // the receiving ring
	limit   int
	farHost string
	rival   id // another ring that receives this subject, and was logged

	got     uint64 // the receiver has everything before this position
	at      place  // what is published next comes after it
	next    spot   // a message there, or before
	skip    uint64 // messages to pass over after at
	cargo   cargo
	waiting []flight
	moved   bool // something was acknowledged since the last hello

	heard   time.Time // the last reply
	pinged  time.Time
	pingAt  uint64    // number of the last data before the last ping
	missing time.Time // since when the receiver is absent; zero: it is there
	full    bool      // the receiver's ring is full, and that was logged
}

// A flight is a request of data that was not acknowledged.
type flight struct {
	number uint64
	bytes  int
	part   bool  // more parts of the payload follow
	end    place // of the messages
}

var (
	errAgain  = errors.New("begin again") // greet, and send again what the receiver has not got
	errAbsent = errors.New("nobody receives the subject")
)

// run passes messages on until ctx is done or there is an error that will not go away.
func (s *sender) run(ctx context.Context) error {
	s.inbox = s.Conn.NewInbox() + "."
	sub, err := s.Conn.Subscribe(s.inbox+"*", s.take)
	if err != nil {
		return s.closed(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is closed
	s.changed = s.Conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	defer s.Conn.RemoveStatusListener(s.changed)
	for {
		err := s.greet(ctx)
		if err == nil {
			err = s.stream(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errAbsent):
			s.lost("nobody answers")
		case !errors.Is(err, errAgain):
			return err
		case !s.moved: // a receiver that answers nonsense must not keep a processor busy
			if err := pause(ctx, helloPause); err != nil {
				return err
			}
		}
	}
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closed explains that the connection is closed.
func (s *sender) closed(err error) error {
	if last := s.Conn.LastError(); last != nil {
		err = last
	}
	return fmt.Errorf("relay: %s: %w: %w", s.Subject, ErrConnection, err)
}

// control is the last part of the subject where the receiver asks whether this sender lives.
const control = "control"

// take gets replies from the connection. If there is no room for one, the sender begins
// again some time later.
func (s *sender) take(m *nats.Msg) {
	if strings.HasSuffix(m.Subject, control) {
		_ = m.Respond(nil) // the receiver asks again
		return
	}
	select {
	case s.replies <- m:
	default:
	}
}

// lost logs once that the receiver is absent.
func (s *sender) lost(why string) {
	if s.missing.IsZero() {
		s.missing = time.Now()
		s.log.Warn("messages wait: "+why, s.there()...)
	}
}

// there returns which ring is at the other end, for the log.
func (s *sender) there() []any {
	if s.far == (id{}) {
		return nil
	}
	return []any{"ring", s.far, "host", s.farHost}
}

// greet says hello until the receiver answers, and goes to where it is.
func (s *sender) greet(ctx context.Context) error {
	s.epoch++
	s.waiting, s.moved = s.waiting[:0], false
	var stranger *packet
	for tries := 0; ; tries++ {
		for len(s.changed) > 0 {
			<-s.changed
		}
		if status := s.Conn.Status(); status == nats.CLOSED {
			return s.closed(nats.ErrConnectionClosed)
		} else if status != nats.CONNECTED {
			s.lost("there is no connection to a server")
			select {
			case <-s.changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if tries >= helloTries && stranger == nil {
			s.lost("nobody answers")
		}
		// The error is about the connection, whose status changes.
		_ = s.publish("h", nil, &packet{kind: kindHello, inbox: s.inbox + control, sent: time.Now()})
		p, err := s.awaitHello(ctx)
		switch {
		case err != nil:
			return err
		case p != nil && (s.far == id{} || p.ring == s.far):
			s.welcome(p)
			return nil
		case p != nil && stranger != nil: // the ring that was there does not answer
			s.log.Warn("another ring receives now; messages that only the earlier one had got are lost",
				"ring", p.ring, "host", p.host, "earlier", s.far)
			s.welcome(p)
			return nil
		case p != nil:
			stranger = p
		}
	}
}

// awaitHello waits for the reply to a hello, and for as long as there should be none between
// two hellos. The reply is nil if there was none.
func (s *sender) awaitHello(ctx context.Context) (p *packet, err error) {
	timer := time.NewTimer(helloPause)
	defer timer.Stop()
	for {
		select {
		case m := <-s.replies:
			reply, err := s.read(m)
			switch {
			case errors.Is(err, errAbsent) || reply == nil && err == nil:
			case err != nil:
				return nil, err
			case reply.ring == s.far || s.far == id{}:
				return reply, nil
			default:
				p = reply
			}
		case <-s.changed:
			return p, nil
		case <-timer.C:
			return p, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// read returns a reply of this epoch, or nil if m is none. Replies come from a peer that may
// say anything.
func (s *sender) read(m *nats.Msg) (*packet, error) {
	token := strings.TrimPrefix(m.Subject, s.inbox)
	epoch, _, _ := strings.Cut(token, "-")
	if epoch != strconv.FormatUint(s.epoch, 10) {
		return nil, nil
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return nil, errAbsent
	}
	p, err := parse(m)
	switch {
	case err != nil:
		return nil, fmt.Errorf("relay: %s: %w: %w", s.Subject, ErrRefused, err)
	case p.kind == kindRefused:
		return nil, fmt.Errorf("relay: %s: %w: %s (ring %v on %s)", s.Subject, ErrRefused, p.why, p.ring, p.host)
	}
	return p, nil
}

// welcome goes to where the receiver is.
func (s *sender) welcome(p *packet) {
	switch {
	case !s.missing.IsZero():
		s.log.Info("messages flow", "ring", p.ring, "host", p.host, "after", time.Since(s.missing).Round(time.Millisecond))
	case s.far != p.ring:
		s.log.Info("messages flow", "ring", p.ring, "host", p.host)
	}
	s.far, s.farHost, s.limit = p.ring, p.host, p.limit
	s.missing, s.heard, s.pinged = time.Time{}, time.Now(), time.Time{}
	s.seek(p.after)
}

// seek goes to where the receiver is.
func (s *sender) seek(to place) {
	s.got, s.at, s.skip, s.cargo = to.position, to, to.count, cargo{}
	s.source.ack(s.cursor, s.got)
	var start uint64
	if s.next, start = s.source.oldest(); to.position < start && to != (place{}) {
		// Something else has received from the ring, or the receiver's memory is older.
		s.log.Error("messages are missing: the receiver has got less than was released", "receiver", to.position, "released", start)
	}
}

// publish sends a request whose reply goes to a subject that ends with the word.
func (s *sender) publish(word string, payload []byte, p *packet) error {
	p.source, p.ring, p.host = s.ring, s.far, s.host
	m := p.message(s.Subject)
	m.Reply = s.inbox + strconv.FormatUint(s.epoch, 10) + "-" + word
	m.Data = payload
	return s.Conn.PublishMsg(m)
}
