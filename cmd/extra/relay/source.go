package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/sysvipc/gipc/shmring"
)

// Limits of what a Send keeps on its way. A batch or a source holds one message more if that
// is longer.
const (
	batchBytes  = 256 << 10
	sourceBytes = 8 << 20
)

// A batch holds messages of the ring as they are published.
type batch struct {
	ends    []uint64 // where each message ends in the ring
	offsets []int    // where each message ends in the payload
	payload []byte
	taken   bool // a route has begun to publish it, so it must not change any more
}

func (b *batch) end() uint64 { return b.ends[len(b.ends)-1] }

// begin returns where message i begins in the payload.
func (b *batch) begin(i int) int {
	if i == 0 {
		return 0
	}
	return b.offsets[i-1]
}

// length returns the length of message i.
func (b *batch) length(i int) int { return b.offsets[i] - b.begin(i) - lengthSize }

func (b *batch) add(msg []byte, end uint64) {
	b.payload = appendFrame(b.payload, msg)
	b.ends = append(b.ends, end)
	b.offsets = append(b.offsets, len(b.payload))
}

// join adds the messages of the batch after b, if b may change and has room.
func (b *batch) join(next *batch) bool {
	if b.taken || len(b.payload)+len(next.payload) > batchBytes {
		return false
	}
	for _, offset := range next.offsets {
		b.offsets = append(b.offsets, len(b.payload)+offset)
	}
	b.ends = append(b.ends, next.ends...)
	b.payload = append(b.payload, next.payload...)
	return true
}

// A source holds the messages that were received from the ring and not released: some route
// has not got its acknowledgement yet. One goroutine, in run, uses the ring.
type source struct {
	consumer *shmring.Consumer
	moved    chan struct{} // wakes run: messages can be released, or a batch was taken

	mu      sync.Mutex
	start   uint64 // what is before has been acknowledged on all routes
	end     uint64 // what is before is in batches, or was
	batches []*batch
	first   uint64 // number of the first batch since the beginning
	bytes   int
	routes  []*cursor
	spare   []*batch // their memory is used again
}

// A cursor is how far a route has got. The source holds its mutex to use acked.
type cursor struct {
	acked uint64
	grown chan struct{} // wakes the route
}

func newSource(c *shmring.Consumer, routes int) *source {
	s := &source{consumer: c, moved: make(chan struct{}, 1), start: c.Position(), end: c.Position()}
	for range routes {
		s.routes = append(s.routes, &cursor{acked: s.start, grown: make(chan struct{}, 1)})
	}
	return s
}

// signal wakes the goroutine that waits for the channel.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run fills batches until ctx is done.
func (s *source) run(ctx context.Context) error {
	var held []byte // received, but too long for the batch before it
	var pause time.Duration
	for {
		start, empty, full, ahead := s.state()
		if err := s.consumer.ReleaseTo(start); err != nil {
			return err
		}
		if full {
			select {
			case <-s.moved:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if ahead {
			if err := s.awaitMove(ctx, leastPause); err != nil {
				return err
			}
		}
		var err error
		if held == nil && empty {
			held, err = s.receive(ctx)
		}
		b := s.blank()
		if err == nil {
			held, err = s.fill(b, held)
		}
		if err != nil {
			return err
		}
		if len(b.ends) > 0 {
			s.add(b)
			pause = 0
			continue
		}
		s.giveBack(b)
		pause = min(max(2*pause, leastPause), mostPause)
		if err := s.awaitMove(ctx, pause); err != nil {
			return err
		}
	}
}

// Bounds of the pause between two looks into the ring while acknowledgements are missing.
// With no message under way, the source sleeps in the ring instead.
const (
	leastPause = 500 * time.Microsecond
	mostPause  = 50 * time.Millisecond
)

// awaitMove waits until a route moves on, for a pause at most.
func (s *source) awaitMove(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-s.moved:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// receive waits for a message. Producers that come and go do not end a relay.
func (s *source) receive(ctx context.Context) ([]byte, error) {
	for {
		msg, err := s.consumer.Receive(ctx)
		if !errors.Is(err, io.EOF) && !errors.Is(err, shmring.ErrPeerDied) {
			return msg, err
		}
	}
}

// fill adds held and what the ring has to the batch. It returns a message that no longer fits.
func (s *source) fill(b *batch, held []byte) (left []byte, err error) {
	for {
		if held == nil {
			msg, ok, err := s.consumer.TryReceiveMore()
			if !ok || err != nil {
				return nil, err
			}
			held = msg
		}
		if uint64(len(held)) > math.MaxUint32 {
			return nil, fmt.Errorf("relay: the ring holds a message of %d bytes; a relay passes on up to %d", len(held), uint32(math.MaxUint32))
		}
		if len(b.ends) > 0 && len(b.payload)+lengthSize+len(held) > batchBytes {
			return held, nil
		}
		b.add(held, s.consumer.Position())
		held = nil
	}
}

// state returns what can be released, and whether the source is empty, full or ahead: no
// route has begun to publish its last batch, so that there is no hurry to take more from the
// ring.
func (s *source) state() (start uint64, empty, full, ahead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.batches)
	return s.start, n == 0, s.bytes >= sourceBytes, n > 0 && !s.batches[n-1].taken
}

// blank returns a batch without messages.
func (s *source) blank() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.spare)
	if n == 0 {
		return &batch{payload: make([]byte, 0, batchBytes)}
	}
	b := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return b
}

// giveBack keeps the memory of a batch, unless that is large.
func (s *source) giveBack(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recycle(b)
}

func (s *source) recycle(b *batch) {
	if cap(b.payload) <= 2*batchBytes && len(s.spare) < sourceBytes/batchBytes {
		s.spare = append(s.spare, &batch{ends: b.ends[:0], offsets: b.offsets[:0], payload: b.payload[:0]})
	}
}

// add keeps a batch, or joins it to the last one: a route that waits for acknowledgements
// then finds one long batch instead of many short ones.
func (s *source) add(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += len(b.payload)
	s.end = b.end()
	if n := len(s.batches); n > 0 && s.batches[n-1].join(b) {
		s.recycle(b)
	} else {
		s.batches = append(s.batches, b)
	}
	for _, c := range s.routes {
		signal(c.grown)
	}
}

// ack notes that a route has all messages up to the position. Batches that every route has
// can be released.
func (s *source) ack(c *cursor, position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if position <= c.acked {
		return
	}
	c.acked = min(position, s.end)
	least := c.acked
	for _, other := range s.routes {
		least = min(least, other.acked)
	}
	n := 0
	for n < len(s.batches) && s.batches[n].end() <= least {
		s.start = s.batches[n].end()
		s.bytes -= len(s.batches[n].payload)
		s.recycle(s.batches[n])
		n++
	}
	if n > 0 {
		s.batches = append(s.batches[:0], s.batches[n:]...)
		s.first += uint64(n)
		signal(s.moved)
	}
}

// A spot is a message in a source: message i of a batch, whose number counts from the first
// batch of the source.
type spot struct {
	batch uint64
	i     int
}

// at returns the batch of a spot, or nil if it has not come yet, or has fewer bytes than
// least and may still grow. The route that asks has not acknowledged it, so it stays.
func (s *source) at(p spot, least int) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.batch-s.first >= uint64(len(s.batches)) {
		return nil
	}
	b := s.batches[p.batch-s.first]
	if !b.taken && len(b.payload) < least && p.batch-s.first == uint64(len(s.batches)-1) {
		return nil
	}
	if !b.taken {
		b.taken = true
		signal(s.moved)
	}
	return b
}

// oldest returns the spot of the first message that is kept, and the position before it.
func (s *source) oldest() (spot, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return spot{batch: s.first}, s.start
}
