package relay

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// stream publishes messages and takes acknowledgements, until it has to greet again.
func (s *sender) stream(ctx context.Context) error {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		if err := s.pump(); err != nil {
			return err
		}
		timer.Reset(s.patience())
		select {
		case m := <-s.replies:
			if err := s.reply(m); err != nil {
				return err
			}
		case <-s.cursor.grown:
		case <-s.changed:
			return errAgain
		case <-timer.C:
			if err := s.ask(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// patience returns how long to wait for a reply now.
func (s *sender) patience() time.Duration {
	wait := time.Until(s.heard.Add(idlePause))
	if len(s.waiting) > 0 {
		wait = time.Until(s.heard.Add(quiet))
	}
	if s.pinged.After(s.heard) { // it has not answered yet
		wait = max(wait, time.Until(s.pinged.Add(askPause)))
	}
	return max(wait, time.Millisecond)
}

// ask asks whether the receiver lives.
func (s *sender) ask() error {
	now := time.Now()
	switch {
	case s.pinged.After(s.heard) && now.Sub(s.pinged) >= askPause && now.Sub(s.heard) >= absence && len(s.waiting) > 0,
		s.pinged.After(s.heard) && now.Sub(s.heard) >= idlePause+absence:
		return errAbsent
	}
	s.pinged, s.pingAt = now, s.number
	if err := s.publish("p", nil, &packet{kind: kindPing, inbox: s.inbox + control}); err != nil {
		return errAgain // the connection is lost, and greet waits for it
	}
	return nil
}

// pump publishes messages while the window allows.
func (s *sender) pump() error {
	for {
		flying := 0
		for _, f := range s.waiting {
			flying += f.bytes
		}
		if len(s.waiting) >= windowMessages || flying >= windowBytes {
			return nil
		}
		if s.cargo.payload == nil {
			b := s.seekBatch()
			if b == nil {
				return nil
			}
			if err := s.load(b); err != nil {
				return err
			}
		}
		if err := s.sendPart(); err != nil {
			return err
		}
	}
}

// seekBatch returns the batch of the next message, or nil if there is none, or if a short one
// waits for others because enough messages are under way. It passes over messages that the
// receiver has.
func (s *sender) seekBatch() *batch {
	least := 0
	if len(s.waiting) >= fewMessages {
		least = longBatch
	}
	for {
		b := s.source.at(s.next, least)
		switch {
		case b == nil:
			return nil
		case s.next.i < len(b.ends) && b.ends[s.next.i] <= s.at.position:
			s.next.i++
		case s.next.i < len(b.ends) && s.skip > 0:
			s.next.i++
			s.skip--
		case s.next.i < len(b.ends):
			return b
		default:
			s.next = spot{batch: s.next.batch + 1}
			s.source.ack(s.cursor, min(s.got, b.end()))
		}
	}
}

// A cargo is the payload that is being published, in parts if it is longer than the server
// allows.
type cargo struct {
	payload []byte // nil: there is none
	first   int    // where the next part begins
	end     place
}

// load takes messages of the batch from the next on, as many as the receiver can commit at
// once.
func (s *sender) load(b *batch) error {
	i := s.next.i
	if n := b.length(i); n > s.limit {
		return fmt.Errorf("relay: %s: %w: a message has %d bytes; the ring %v on %s takes up to %d", s.Subject, ErrRefused, n, s.far, s.farHost, s.limit)
	}
	size, j := extent(b.length(i)), i+1
	for j < len(b.ends) && size+extent(b.length(j)) <= s.limit/2 {
		size += extent(b.length(j))
		j++
	}
	s.cargo = cargo{payload: b.payload[b.begin(i):b.offsets[j-1]], end: place{position: b.ends[j-1]}}
	s.next.i = j
	return nil
}

// sendPart publishes the next part of the cargo.
func (s *sender) sendPart() error {
	c := &s.cargo
	most := max(int(s.Conn.MaxPayload())-headerRoom, leastPayload)
	part := c.payload[c.first:min(c.first+most, len(c.payload))]
	p := &packet{kind: kindData, after: s.at, end: c.end, sent: time.Now()}
	if len(part) < len(c.payload) {
		p.first, p.total = c.first, len(c.payload)
	}
	s.number++
	if err := s.publish(strconv.FormatUint(s.number, 10), part, p); err != nil {
		return errAgain
	}
	c.first += len(part)
	whole := c.first == len(c.payload)
	s.waiting = append(s.waiting, flight{number: s.number, bytes: len(part), part: !whole, end: c.end})
	if len(s.waiting) == 1 {
		s.heard = time.Now() // nothing was due before
	}
	if whole {
		s.at = c.end
		s.cargo = cargo{}
	}
	return nil
}

// reply takes a reply.
func (s *sender) reply(m *nats.Msg) error {
	p, err := s.read(m)
	switch {
	case err != nil || p == nil:
		return err
	case p.ring != s.far:
		return s.stranger(p)
	}
	s.heard = time.Now()
	if p.kind == kindAlive {
		return s.alive(p)
	}
	_, word, _ := strings.Cut(strings.TrimPrefix(m.Subject, s.inbox), "-")
	number, err := strconv.ParseUint(word, 10, 64)
	if err != nil || len(s.waiting) == 0 || number != s.waiting[0].number {
		return errAgain // an acknowledgement is missing
	}
	f := s.waiting[0]
	if f.part != (p.kind == kindPart) || !f.part && p.after != f.end {
		return errAgain // it has not got what was sent, or has got other messages
	}
	s.waiting = append(s.waiting[:0], s.waiting[1:]...)
	if s.full {
		s.full = false
		s.log.Info("messages flow: the other ring has room", s.there()...)
	}
	s.moved = true
	if !f.part {
		s.got = f.end.position
		s.source.ack(s.cursor, s.got)
	}
	return nil
}

// alive takes the answer to a ping.
func (s *sender) alive(p *packet) error {
	switch {
	case p.busy >= slowness && !s.full:
		s.full = true
		s.log.Warn("messages wait: the other ring is full", s.there()...)
	case p.busy == 0 && len(s.waiting) > 0 && s.waiting[0].number <= s.pingAt:
		return errAgain // the receiver has nothing to do: messages or acknowledgements are lost
	}
	return nil
}

// stranger takes a reply of another ring than the one that was there. That ring may have
// gone, and then it does not answer any more.
func (s *sender) stranger(p *packet) error {
	if p.ring != s.rival {
		s.rival = p.ring
		s.log.Warn("two rings receive this subject; messages go to the first", "ring", s.far, "host", s.farHost, "other", p.ring, "on", p.host)
	}
	return nil
}
