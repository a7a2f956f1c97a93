package relay

import (
	"context"
	"encoding/binary"

	"github.com/sysvipc/gipc/shmring"
)

// A state is what a sink has got: everything of the source up to the place.
type state struct {
	source id
	place
}

// mark returns the state as it stands in the ring.
func (s state) mark() (m shmring.Mark) {
	copy(m[:16], s.source[:])
	binary.LittleEndian.PutUint64(m[16:], s.position)
	binary.LittleEndian.PutUint64(m[24:], s.count)
	return m
}

func stateOf(m shmring.Mark) (s state) {
	copy(s.source[:], m[:16])
	s.position = binary.LittleEndian.Uint64(m[16:])
	s.count = binary.LittleEndian.Uint64(m[24:])
	return s
}

// A sink is a ring or a broadcast that receives messages.
type sink interface {
	id() id
	// limit returns the length of the longest message. Messages that are put together have
	// no larger extent.
	limit() int
	state() (state, error)
	// put commits the messages, which are those after has and up to the end, and changes
	// has. It blocks while there is no room.
	put(ctx context.Context, msgs [][]byte, has *state, end place) error
}

type ringSink struct {
	*shmring.Producer
	ring *shmring.Ring
}

func (s ringSink) id() id     { return s.ring.ID() }
func (s ringSink) limit() int { return s.ring.MaxMessage() }

func (s ringSink) state() (state, error) {
	m, _, err := s.Mark()
	return stateOf(m), err
}

// put commits all messages at once.
func (s ringSink) put(ctx context.Context, msgs [][]byte, has *state, end place) error {
	next := state{has.source, end}
	err := s.SendMarked(ctx, msgs, next.mark())
	if err == nil {
		*has = next
	}
	return err
}

type broadcastSink struct {
	*shmring.BroadcastWriter
	broadcast *shmring.Broadcast
}

func (s broadcastSink) id() id     { return s.broadcast.ID() }
func (s broadcastSink) limit() int { return s.broadcast.MaxMessage() }

func (s broadcastSink) state() (state, error) {
	m, _, err := s.Mark()
	return stateOf(m), err
}

// put commits the messages one by one. If it is interrupted, the mark counts those that are
// there.
func (s broadcastSink) put(ctx context.Context, msgs [][]byte, has *state, end place) error {
	for i, msg := range msgs {
		next := state{has.source, place{has.position, has.count + 1}}
		if i == len(msgs)-1 {
			next.place = end
		}
		if err := s.SendMarked(ctx, msg, next.mark()); err != nil {
			return err
		}
		*has = next
	}
	return nil
}
