package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/shmring"
)

// Receive takes the producer's role of the ring, and puts into it what Send passes on along
// the route, until ctx is done or there is an error. The ring is for shmring.One. Receive
// blocks, also until it has a connection.
//
// The ring should be opened with shmring.NamedOptions.Outlive. Then Receive waits for room
// while no consumer is there; otherwise it ends when the consumer does.
//
// Errors: that of ctx; those of JoinProducer and SendMarked; ErrSubject (another ring receives
// the subject); ErrConnection; ErrFault of shmring.
func Receive(ctx context.Context, ring *shmring.Ring, from Route, o *Options) error {
	if ring.Producers() != shmring.One {
		return fmt.Errorf("relay: the ring is for several producers; a relay writes into a ring for one: %w", errors.ErrUnsupported)
	}
	var p *shmring.Producer
	err := memory.Guard(func() (err error) { p, err = ring.JoinProducer(); return err })
	if err != nil {
		return err
	}
	return leave(receive(ctx, ringSink{p, ring}, from, o), p.Close)
}

// ReceiveBroadcast is Receive into a broadcast, as its writer. Readers that Block delay the
// senders; those of the Latest do not.
func ReceiveBroadcast(ctx context.Context, b *shmring.Broadcast, from Route, o *Options) error {
	w, err := b.JoinWriter(nil)
	if err != nil {
		return err
	}
	return leave(receive(ctx, broadcastSink{w, b}, from, o), w.Close)
}

// queued limits the requests that wait for the receiver. A sane sender has fewer under way;
// what does not fit is sent again.
const queued = 4 * windowMessages

// A receiver is a Receive.
type receiver struct {
	Route
	sink sink
	ring id
	host string
	log  *slog.Logger
	work chan *nats.Msg
	jobs atomic.Int64 // requests in work, or being done
	busy atomic.Int64 // since when there is no room, in nanoseconds of the Unix time; 0: there is

	has     state  // what the sink has got
	inbox   string // where the sender of has.source answers, if it was heard
	partial []byte // the payload so far, if parts are missing
	whole   packet // the first of its parts
	msgs    [][]byte
}

func receive(ctx context.Context, to sink, from Route, o *Options) error {
	if err := CheckSubject(from.Subject); err != nil {
		return err
	}
	r := &receiver{
		Route: from, sink: to, ring: to.id(), host: hostname(),
		log: o.logger().With("subject", from.Subject), work: make(chan *nats.Msg, queued),
	}
	return memory.Guard(func() (err error) {
		if r.has, err = to.state(); err != nil {
			return err
		}
		return r.run(ctx)
	})
}

// run serves the subject until ctx is done or there is an error.
func (r *receiver) run(ctx context.Context) error {
	changed := r.Conn.StatusChanged(nats.CLOSED, nats.CONNECTED)
	defer r.Conn.RemoveStatusListener(changed)
	if err := r.alone(ctx, changed); err != nil {
		return err
	}
	sub, err := r.Conn.Subscribe(r.Subject, r.take)
	if err != nil {
		return r.closed()
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is closed
	if r.has.source != (id{}) {
		r.log.Info("receiving", "ring", r.ring, "last", r.has.source)
	} else {
		r.log.Info("receiving", "ring", r.ring)
	}
	for {
		select {
		case m := <-r.work:
			err := r.serve(ctx, m)
			r.jobs.Add(-1)
			if err != nil {
				return err
			}
		case <-changed:
			if r.Conn.IsClosed() {
				return r.closed()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *receiver) closed() error {
	s := sender{Route: r.Route}
	return s.closed(nats.ErrConnectionClosed)
}

// alone waits for a connection, and returns an error if another ring receives the subject.
func (r *receiver) alone(ctx context.Context, changed chan nats.Status) error {
	for said := false; !r.Conn.IsConnected(); said = true {
		if r.Conn.IsClosed() {
			return r.closed()
		}
		if !said {
			r.log.Warn("there is no connection to a server yet")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	who := packet{kind: kindWho, host: r.host}
	m, err := r.Conn.RequestMsg(who.message(r.Subject), absence)
	if err != nil { // nobody, or a receiver that does not answer and will not get messages
		return nil
	}
	if p, err := parse(m); err == nil && p.ring != r.ring {
		return fmt.Errorf("relay: %w: %s is received by the ring %v on %s already", ErrSubject, r.Subject, p.ring, p.host)
	}
	return nil
}

// take gets requests from the connection. It answers at once what needs no memory.
func (r *receiver) take(m *nats.Msg) {
	if m.Reply == "" {
		return
	}
	switch kind := m.Header.Get(headerKind); kind {
	case version + kindPing, version + kindWho:
		p := packet{kind: kindAlive}
		if since := r.busy.Load(); since != 0 {
			p.busy = time.Since(time.Unix(0, since))
		}
		if r.jobs.Load() > 0 {
			p.busy = max(p.busy, time.Millisecond)
		}
		r.answer(m, &p)
		if kind == version+kindWho {
			return
		}
	}
	r.jobs.Add(1)
	select {
	case r.work <- m:
	default:
		r.jobs.Add(-1)
	}
}

// answer sends a reply. If it is lost, the sender asks again.
func (r *receiver) answer(m *nats.Msg, p *packet) {
	p.ring, p.host, p.limit = r.ring, r.host, r.sink.limit()
	_ = m.RespondMsg(p.message(m.Reply))
}

// serve serves a request. Its errors are those of the sink.
func (r *receiver) serve(ctx context.Context, m *nats.Msg) error {
	p, err := parse(m)
	if err == nil && p.source == (id{}) {
		err = errors.New("relay: the request names no source")
	}
	if err != nil {
		r.refuse(m, err.Error())
		return nil
	}
	if p.ring != r.ring && p.ring != (id{}) && p.kind != kindHello {
		r.answer(m, &packet{kind: kindState}) // for another ring: the sender learns that there are two
		return nil
	}
	if p.kind != kindPing && p.source != r.has.source && !r.adopt(p) {
		r.refuse(m, fmt.Sprintf("the ring %v sends here already, and is alive", r.has.source))
		return nil
	}
	if p.source == r.has.source && p.inbox != "" {
		r.inbox = p.inbox
	}
	switch p.kind {
	case kindHello:
		r.answer(m, &packet{kind: kindState, after: r.has.place})
	case kindData:
		return r.data(ctx, m, p)
	}
	return nil
}

func (r *receiver) refuse(m *nats.Msg, why string) {
	r.log.Warn("messages refused: " + oneLine(why))
	r.answer(m, &packet{kind: kindRefused, why: why})
}

// adopt takes another sender, unless the one before it answers.
func (r *receiver) adopt(p *packet) bool {
	if r.has.source != (id{}) {
		if r.inbox != "" {
			if _, err := r.Conn.Request(r.inbox, nil, quiet); err == nil {
				return false
			}
		}
		r.log.Warn("another ring sends now", "source", p.source, "host", p.host, "earlier", r.has.source)
	}
	r.has, r.inbox, r.partial = state{source: p.source}, p.inbox, nil
	return true
}

// data takes messages, or a part of them.
func (r *receiver) data(ctx context.Context, m *nats.Msg, p *packet) error {
	payload := m.Data
	switch {
	case p.after != r.has.place || p.end.position <= p.after.position || p.end.count != 0:
		r.partial = nil
		r.answer(m, &packet{kind: kindState, after: r.has.place})
		return nil
	case p.total != 0:
		if !r.part(p, payload) {
			r.answer(m, &packet{kind: kindState, after: r.has.place})
			return nil
		}
		if payload = r.partial; len(payload) < p.total {
			r.answer(m, &packet{kind: kindPart, after: r.has.place})
			return nil
		}
	}
	r.partial = nil
	var err error
	if r.msgs, err = frames(r.msgs[:0], payload); err == nil {
		err = fits(r.msgs, r.sink.limit())
	}
	if err != nil {
		r.refuse(m, err.Error())
		return nil
	}
	r.busy.Store(time.Now().UnixNano())
	err = r.sink.put(ctx, r.msgs, &r.has, p.end)
	r.busy.Store(0)
	clear(r.msgs)
	if err == nil {
		r.answer(m, &packet{kind: kindState, after: r.has.place})
	}
	return err
}

// part adds a part to the payload; ok is false if it does not follow the last one. The
// payload has no more bytes than the frames of messages that the sink can commit.
func (r *receiver) part(p *packet, payload []byte) (ok bool) {
	limit := r.sink.limit()
	switch {
	case p.total > limit+limit/extent(0)*lengthSize:
		return false
	case p.first == 0:
		r.partial, r.whole = make([]byte, 0, p.total), *p
	case r.partial == nil || p.first != len(r.partial) || p.total != r.whole.total || p.end != r.whole.end:
		r.partial = nil
		return false
	}
	if len(payload) == 0 || len(payload) > p.total-p.first {
		r.partial = nil
		return false
	}
	r.partial = append(r.partial, payload...)
	return true
}

// fits returns an error if the messages cannot be committed together.
func fits(msgs [][]byte, limit int) error {
	size := 0
	for _, msg := range msgs {
		size += extent(len(msg))
		if size > limit {
			return fmt.Errorf("relay: messages of more than %d bytes at once", limit)
		}
	}
	return nil
}
