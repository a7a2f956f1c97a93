package shmring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
)

// A Policy says what happens to a reader of a Broadcast that is slower than the writer.
type Policy uint32

const (
	// Block makes the writer wait for the reader, which receives every message.
	Block Policy = 1
	// Latest lets the writer overwrite what the reader has not received yet. The reader
	// goes on with the newest message, and Lost counts the messages in between.
	Latest Policy = 2
)

// SubscribeOptions holds the options of Subscribe.
type SubscribeOptions struct {
	// Label names the reader for people, in errors and in Broadcast.Subscribers. It has at
	// most 32 bytes.
	Label string
	// FromOldest begins with the oldest message that is still there, instead of the next
	// one to be sent.
	FromOldest bool
}

// A Subscription receives the messages of a Broadcast. Only one goroutine may use it at a
// time.
type Subscription struct {
	b      *Broadcast
	slot   int
	policy Policy
	unpin  func()
	life   line
	ticket uint64
	reader *reader
	wait   waiter
	look   look
	vigil  vigil // during a long wait

	next      uint64 // number of the message to receive
	published uint64 // header.published when it was last read
	lost      uint64
	seen      uint32 // the session of the last writer whose end was reported
	buf       []byte // the last message that Receive returned

	taken, bytes uint64 // received since the last wait
	closed       bool
}

// Subscribe joins the broadcast as a reader. nil options mean the zero value. Errors:
// ErrBusy (64 readers are subscribed); ErrTooLarge (the label); ErrClosed (the Broadcast);
// ErrCorrupt; ErrFault; fs.PathError.
func (b *Broadcast) Subscribe(p Policy, o *SubscribeOptions) (*Subscription, error) {
	if o == nil {
		o = &SubscribeOptions{}
	}
	switch {
	case p != Block && p != Latest:
		return nil, fmt.Errorf("shmring: policy %d is neither Block nor Latest", p)
	case len(o.Label) > labelSize:
		return nil, fmt.Errorf("shmring: %w: label of %d bytes, at most %d", ErrTooLarge, len(o.Label), labelSize)
	}
	unpin, err := b.pin()
	if err != nil {
		return nil, fmt.Errorf("shmring: %w", closedOr(err))
	}
	s := &Subscription{b: b, policy: p, unpin: unpin}
	if err := guarded(func() error { return s.join(o) }); err != nil {
		unpin()
		return nil, err
	}
	return s, nil
}

func (s *Subscription) join(o *SubscribeOptions) (err error) {
	if s.life, err = s.b.lifeline(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.life.Close()
		}
	}()
	if s.slot, s.ticket, err = s.b.enlist(s.life); err != nil {
		return err
	}
	s.reader = &s.b.readers[s.slot]
	s.wait.start(&s.b.header.readersSleep, s.b.spin, pauseLeast)
	if err := s.begin(o); err != nil {
		s.b.leave(s.life, s.slot, s.ticket)
		return err
	}
	return nil
}

// enlist takes a reader's role: a free one, or one whose process is dead.
func (b *Broadcast) enlist(l line) (slot int, ticket uint64, err error) {
	for i := range readerCount {
		if b.members[i].ticket.Load() == nobody {
			if ticket, err := b.take(l, i, nobody); ticket != 0 || err != nil {
				return i, ticket, err
			}
		}
	}
	for i := range readerCount {
		if ticket, err := b.bury(l, i); ticket != 0 || err != nil {
			return i, ticket, err
		}
	}
	return 0, 0, fmt.Errorf("shmring: %w: %d readers are subscribed, which is the most", ErrBusy, readerCount)
}

// begin determines the first message. The order matters: see BroadcastWriter.raise.
func (s *Subscription) begin(o *SubscribeOptions) error {
	h, r := s.b.header, s.reader
	bit := uint64(1) << s.slot
	h.blocking.And(^bit)
	r.next.Store(h.floor.Load())
	r.lost.Store(0)
	r.policy.Store(uint32(s.policy))
	r.setName(o.Label)
	if s.policy == Block {
		h.blocking.Or(bit)
	}
	h.joins.Add(1)

	floor := h.floor.Load()
	s.published = h.published.Load()
	if s.next = s.published; o.FromOldest {
		s.next = floor
	}
	if s.published-floor > uint64(len(s.b.index)) && h.floor.Load() == floor {
		h.blocking.And(^bit)
		return corrupt("floor", floor)
	}
	r.next.Store(s.next)

	// Do not report the end of a writer that was gone before, unless this reader may still
	// receive messages of it.
	s.seen = h.sessions.Load()
	ticket, dead := s.b.dead(s.life, writerRole)
	if s.seen > 0 && (o.FromOldest || !vacant(ticket) && !dead) {
		s.seen--
	}
	return nil
}

func (r *reader) setName(name string) {
	var b [labelSize]byte
	copy(b[:], name)
	for i := range r.label {
		r.label[i].Store(binary.NativeEndian.Uint64(b[8*i:]))
	}
}

func (r *reader) name() string {
	var b [labelSize]byte
	for i := range r.label {
		binary.NativeEndian.PutUint64(b[8*i:], r.label[i].Load())
	}
	return strings.ToValidUTF8(strings.TrimRight(string(b[:]), "\x00"), "?")
}

// Receive returns a copy of the next message, which is whole. It is valid until the next
// call of Receive. Receive blocks until there is a message: it spins, then sleeps, as
// Consumer.Receive does. If ctx is done, it returns an error that unwraps to ctx.Err(), even
// if there is a message.
//
// If the writer has closed, and no message is left, the error is io.EOF; if its process
// ended without closing, it is ErrPeerDied, within 0.5 s. After either, Receive may be
// called again: it waits for another writer. With NamedOptions.Outlive it waits at once.
// Other errors: ErrClosed; ErrCorrupt; ErrFault.
func (s *Subscription) Receive(ctx context.Context) ([]byte, error) {
	err := guarded(func() error { return s.receive(ctx) })
	if err != nil {
		return nil, err
	}
	return s.buf, nil
}

// TryReceive is Receive without blocking. ok reports whether there was a message.
func (s *Subscription) TryReceive() (msg []byte, ok bool, err error) {
	err = guarded(func() error {
		// The writer may overwrite what is being copied, and may do so again.
		for range attempts {
			before := s.next
			if ok, err = s.take(s.keep); ok || err != nil || s.next == before {
				break
			}
		}
		if ok || err != nil || !s.look.due() {
			return err
		}
		return s.died()
	})
	if err != nil || !ok {
		return nil, false, err
	}
	return s.buf, true, nil
}

// View calls f with the next message where it lies in the memory. It blocks, and fails, like
// Receive.
//
// With Block, the message stays until f returns. With Latest, the writer may overwrite it
// at any time. Then View returns ErrOverwritten instead of f's error, the message counts as
// lost, and the caller must throw away what f made of it. f must cope with bytes that
// change, and must not keep the slice or use s. If f panics, the message is not received.
func (s *Subscription) View(ctx context.Context, f func(msg []byte) error) error {
	return guarded(func() error {
		for {
			if err := s.await(ctx); err != nil {
				return err
			}
			msg, ok, err := s.locate()
			if err != nil {
				return err
			}
			if ok {
				return s.use(msg, f)
			}
		}
	})
}

func (s *Subscription) use(msg []byte, f func(msg []byte) error) error {
	err := f(msg)
	if s.release(len(msg)) {
		return err
	}
	if err := s.skip(); err != nil {
		return err
	}
	return fmt.Errorf("shmring: %w", ErrOverwritten)
}

// Messages returns all messages, as Receive does. The sequence ends without an error at
// io.EOF, and after any other error.
func (s *Subscription) Messages(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			msg, err := s.Receive(ctx)
			if errors.Is(err, io.EOF) || !yield(msg, err) || err != nil {
				return
			}
		}
	}
}

// receive copies the next message that is whole.
func (s *Subscription) receive(ctx context.Context) error {
	for {
		if err := s.await(ctx); err != nil {
			return err
		}
		if ok, err := s.take(s.keep); ok || err != nil {
			return err
		}
	}
}

// keep copies a message.
func (s *Subscription) keep(msg []byte) {
	if cap(s.buf) < len(msg) {
		s.buf = make([]byte, len(msg))
	}
	s.buf = s.buf[:len(msg)]
	copyCached(s.buf, msg)
}

// take calls use with the next message. It returns false if there is none, or if it was
// overwritten; then take has gone on to the newest.
func (s *Subscription) take(use func([]byte)) (ok bool, err error) {
	if ok, err := s.ready(); !ok {
		return false, err
	}
	msg, ok, err := s.locate()
	if !ok {
		return false, err
	}
	use(msg)
	if !s.release(len(msg)) {
		return false, s.skip()
	}
	return true, nil
}

// ready reports whether there is a message that was not received. Otherwise it returns the
// reason not to wait for one, if there is any.
func (s *Subscription) ready() (bool, error) {
	if s.closed {
		return false, fmt.Errorf("shmring: %w", ErrClosed)
	}
	if s.next != s.published {
		return true, nil
	}
	published := s.b.header.published.Load()
	switch n := published - s.next; {
	case n == 0:
		return false, s.end()
	case int64(n) < 0, s.policy == Block && n > uint64(len(s.b.index)):
		return false, corrupt("number of messages", published)
	}
	s.published = published
	return true, nil
}

// locate returns the next message, which has been published. It returns false if the
// message was overwritten; then locate has gone on to the newest.
func (s *Subscription) locate() (msg []byte, ok bool, err error) {
	b := s.b
	pos, length, ok := b.locate(s.next)
	switch {
	case s.policy == Latest && b.header.floor.Load() > s.next:
		return nil, false, s.skip()
	case !ok:
		return nil, false, corrupt("position", pos)
	}
	at := pos & b.mask
	return b.data[at : at+length : at+length], true, nil
}

// release ends the use of the message of length bytes. It reports whether the message was
// whole all the time.
//
// On processors with weak order, loads of the message could happen after the load of the
// floor. The store of next prevents that: everything before an atomic store stays before
// it, and the store stays before the load of the floor.
func (s *Subscription) release(length int) bool {
	h := s.b.header
	memory.Store(&s.reader.next, s.next+1)
	switch {
	case s.policy == Latest && h.floor.Load() > s.next:
		return false
	case s.policy == Block && anyAsleep(&h.writerSleeps) && s.next+1 >= h.wanted.Load():
		wake(&h.writerSleeps)
	}
	s.next++
	s.taken++
	s.bytes += uint64(length)
	return true
}

// skip goes on to the newest message, after the next one was overwritten.
func (s *Subscription) skip() error {
	published := s.b.header.published.Load()
	n := published - s.next
	if int64(n) <= 0 { // a message is published before it is overwritten
		return corrupt("number of messages", published)
	}
	s.lost += n - 1
	s.next, s.published = published-1, published
	if n == 1 {
		// The newest message is being overwritten: wait for the one after it.
		s.lost++
		s.next++
	}
	s.reader.lost.Store(s.lost)
	s.reader.next.Store(s.next)
	return nil
}

// end returns io.EOF if the writer has closed, its end was not reported yet, and all its
// messages have been received. A writer publishes before it leaves, and takes its role
// before it is counted.
func (s *Subscription) end() error {
	h := s.b.header
	session := h.sessions.Load()
	if session == s.seen || s.b.members[writerRole].ticket.Load() != gone || h.published.Load() != s.next {
		return nil
	}
	s.seen = session
	if s.b.outlive {
		return nil
	}
	return io.EOF
}

// died returns ErrPeerDied if the writer has died, its end was not reported yet, and all
// its messages have been received.
func (s *Subscription) died() error {
	h := s.b.header
	session := h.sessions.Load()
	if session == s.seen {
		return nil
	}
	if _, dead := s.b.dead(s.life, writerRole); !dead || h.published.Load() != s.next {
		return nil
	}
	s.seen = session
	if s.b.outlive {
		return nil
	}
	return fmt.Errorf("shmring: %w: writer, process %d", ErrPeerDied, s.b.members[writerRole].pid.Load())
}

// await blocks until there is a message.
func (s *Subscription) await(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ok, err := s.ready(); ok || err != nil {
		return err
	}
	defer s.vigil.end()
	s.wait.pace(s.taken, s.bytes, s.b.capacity)
	s.taken, s.bytes = 0, 0
	return s.wait.wait(ctx, s.ready, s.watch)
}

// watch watches the writer and returns died. The vigil begins first, so that a process that
// ends in between is noticed.
func (s *Subscription) watch() (time.Duration, error) {
	pids, all := s.b.watchable(s.b.members[writerRole:])
	next := s.vigil.tick(pids, all, s.wait.alarm)
	return next, s.died()
}

func (s *Subscription) source() source { return s }

func (s *Subscription) enter() bool { return !s.closed }

// poll leaves the end of the writer to the next call that receives.
func (s *Subscription) poll() bool {
	seen := s.seen
	ok, err := s.ready()
	if err != nil {
		s.seen = seen
	}
	return ok || err != nil
}

// check leaves the death of the writer to the next call that receives.
func (s *Subscription) check() (tick time.Duration, ready bool) {
	seen := s.seen
	tick, err := s.watch()
	if err != nil {
		s.seen, s.look = seen, look{} // TryReceive checks at once
	}
	return tick, err != nil
}

func (s *Subscription) sleeper() *waiter { return &s.wait }

func (s *Subscription) exit() { s.vigil.end() }

// Lost returns how many messages were overwritten before this reader received them. Each
// message from the first is either received or lost.
func (s *Subscription) Lost() uint64 { return s.lost }

// Next returns the number of the message that comes next; the first of a broadcast is 0.
func (s *Subscription) Next() uint64 { return s.next }

// Close leaves the broadcast. The writer no longer waits for this reader. A second Close
// returns ErrClosed.
func (s *Subscription) Close() error {
	if s.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	s.closed = true
	err := guarded(func() error {
		h := s.b.header
		h.blocking.And(^(uint64(1) << s.slot))
		s.b.leave(s.life, s.slot, s.ticket)
		wake(&h.writerSleeps)
		return nil
	})
	s.life.Close()
	s.unpin()
	return err
}
