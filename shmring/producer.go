package shmring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
)

// A Producer sends messages into a ring. Only one goroutine may use it at a time. In a
// ring for Many, each goroutine can join with a Producer of its own.
type Producer struct {
	ring   *Ring
	slot   int
	unpin  func()
	life   line
	ticket uint64
	tail   uint64 // One: where the next record begins
	stale  uint64 // One: before this position, a previous producer may have left state words
	head   uint64 // the consumer's head when it was last read
	wait   waiter
	vigil  vigil // during a long wait
	look   look

	claim  uint64 // position of the claim under way, 0 if there is none
	length uint64 // of the claim
	claims uint64 // number of claims so far: distinguishes the open claim from earlier ones
	mark   int    // the slot of the last mark, -1 if there is none
	closed bool
}

// JoinProducer joins the ring as a producer. Errors: ErrBusy; ErrClosed (the Ring);
// ErrCorrupt; fs.PathError.
func (r *Ring) JoinProducer() (*Producer, error) {
	unpin, err := r.pin()
	if err != nil {
		return nil, err
	}
	p, err := r.producer()
	if err != nil {
		unpin()
		return nil, err
	}
	p.unpin = unpin
	return p, nil
}

func (r *Ring) producer() (*Producer, error) {
	life, err := r.lifeline()
	if err != nil {
		return nil, err
	}
	slot, ticket, err := r.join(life)
	if err != nil {
		life.Close()
		return nil, err
	}
	p := &Producer{ring: r, slot: slot, head: r.header.head.Load(), life: life, ticket: ticket, mark: -1}
	p.wait.start(&r.header.producersSleep, r.spin, producerPause)
	if !r.many {
		if p.head, p.tail, err = r.findEnd(p.head); err != nil {
			r.leave(life, slot, ticket)
			life.Close()
			return nil, err
		}
		p.stale = p.head + r.capacity
		p.clear(p.tail)
		p.mark = r.header.marks.resume(p.tail)
	}
	r.header.joins.Add(1)
	p.notify() // a sleeping consumer now has somebody whose death it must notice
	return p, nil
}

// findEnd is findTail from a head that was loaded a moment ago. In its first laps, the
// consumer clears the state words of what it releases, after it has moved head. So records
// that were followed from an old head may seem to end too early. findEnd then begins again at
// the new head, which it returns.
func (r *Ring) findEnd(head uint64) (from, tail uint64, err error) {
	for range attempts {
		tail, err = r.findTail(head)
		now := r.header.head.Load()
		if now == head {
			return head, tail, err
		}
		head = now
	}
	return 0, 0, corrupt("head", head)
}

// findTail follows the records from head to where the previous producer ended. It reads
// only the state words of records, so the state words of an empty ring take no memory,
// however large the ring is.
func (r *Ring) findTail(head uint64) (uint64, error) {
	if head%unit != 0 {
		return 0, corrupt("head", head)
	}
	tail := head
	for tail-head < r.capacity {
		at := tail & r.mask
		w := r.state(tail).Load()
		if !r.current(w, tail) || stateOf(w) < committed {
			break
		}
		size := extent(r.length(w))
		if at+size > r.capacity {
			return 0, corrupt("record", w)
		}
		tail += size
	}
	return tail, nil
}

// clear sets the state word at pos, where a record is about to end, to free. A producer
// that died may have written all state words of a batch but the first. The consumer must
// not find one of them where the next record will begin. None of them lies at p.stale or
// beyond.
func (p *Producer) clear(pos uint64) {
	if int64(p.stale-pos) > 0 {
		p.ring.state(pos).Store(0)
	}
}

// A Claim is room in the ring for one message. Fill it, then commit or abort it.
type Claim struct {
	// These are three words, which the compiler keeps in registers.
	producer *Producer
	number   uint64 // producer.claims when it was made
	length   int
}

// Claim reserves room for a message of n bytes, from 0 to MaxMessage. It blocks while the
// ring is full. It spins for up to 0.1 ms if more than one processor may run this process,
// then sleeps, occupying a thread. If ctx is done, it returns an error that unwraps to
// ctx.Err(), even if there is room.
//
// A producer can have one claim at a time. In a ring for Many, later messages of other
// producers are received only after this claim has ended, so keep it short.
//
// Errors: ErrTooLarge; ErrClaim; ErrClosed (this producer is closed, or the consumer has
// closed); ErrPeerDied (the consumer's process has ended; a wait notices it within 0.5 s);
// ErrCorrupt. With NamedOptions.Outlive, Claim waits for the next consumer instead.
func (p *Producer) Claim(ctx context.Context, n int) (Claim, error) {
	if err := ctx.Err(); err != nil {
		return Claim{}, err
	}
	if c, ok, err := p.tryClaim(n); ok || err != nil {
		return c, err
	}
	if err := p.await(ctx, uint64(n)); err != nil {
		return Claim{}, err
	}
	return p.claimed(n), nil
}

// TryClaim is Claim without blocking. ok reports whether there was room. If there is none
// because the consumer has died, the error is ErrPeerDied, as for Claim.
func (p *Producer) TryClaim(n int) (c Claim, ok bool, err error) {
	if c, ok, err = p.tryClaim(n); ok || err != nil || !p.look.due() {
		return c, ok, err
	}
	if err := p.stranded(); err != nil {
		p.look = look{} // the next call returns the error too
		return Claim{}, false, err
	}
	return Claim{}, false, nil
}

func (p *Producer) tryClaim(n int) (c Claim, ok bool, err error) {
	if !p.ready(n) {
		return Claim{}, false, p.refuse(n)
	}
	if ok, err := p.reserve(uint64(n)); !ok {
		return Claim{}, false, err
	}
	return p.claimed(n), true, nil
}

// claimed returns the claim of n bytes that reserve has just made.
func (p *Producer) claimed(n int) Claim {
	p.claims++
	return Claim{p, p.claims, n}
}

// ready reports whether n bytes can be claimed, apart from whether there is room.
func (p *Producer) ready(n int) bool {
	return p.claim == 0 && !p.closed && uint64(n) <= p.ring.capacity/2 && !p.deserted()
}

// deserted reports whether the consumer has closed, and this producer does not wait for the
// next one.
func (p *Producer) deserted() bool {
	return p.ring.consumer().ticket.Load() == gone && !p.ring.outlive
}

// refuse returns the reason why n bytes cannot be claimed.
func (p *Producer) refuse(n int) error {
	switch {
	case p.closed || p.deserted():
		return fmt.Errorf("shmring: %w", ErrClosed)
	case p.claim != 0:
		return fmt.Errorf("shmring: %w", ErrClaim)
	case uint64(n) > p.ring.capacity/2:
		return fmt.Errorf("shmring: %w: it has %d bytes, at most %d fit, half the capacity", ErrTooLarge, n, p.ring.MaxMessage())
	}
	return nil // a consumer has just joined: treat it as if there were no room
}

// reserve makes room for a record of length bytes and sets p.claim. It reports whether
// there was room.
func (p *Producer) reserve(length uint64) (bool, error) {
	if p.ring.many {
		return p.reserveShared(length)
	}
	r := p.ring
	size := extent(length)
	if rest := r.capacity - p.tail&r.mask; rest < size {
		if ok, err := p.room(p.tail, rest); !ok {
			return false, err
		}
		p.clear(p.tail + rest)
		r.state(p.tail).Store(r.word(p.tail, rest, 0, skipped))
		p.tail += rest
	}
	ok, err := p.room(p.tail, size)
	if ok {
		p.claim, p.length = p.tail, length
	}
	return ok, err
}

// room reports whether size bytes from pos on are free.
func (p *Producer) room(pos, size uint64) (bool, error) {
	if pos-p.head <= p.ring.capacity-size {
		return true, nil
	}
	head := p.ring.header.head.Load()
	if pos-head > p.ring.capacity || head%unit != 0 {
		return false, corrupt("head", head)
	}
	p.head = head
	return pos-head <= p.ring.capacity-size, nil
}

// attempts limits how often reserveShared may be overtaken before it gives up. In a sane
// ring, only a process that makes progress overtakes it.
const attempts = 1 << 12

// reserveShared claims a record in a ring for several producers. The claim is one
// compare-and-swap of the state word at the tail, from whatever an earlier lap left there
// to the claim with its owner and length. Only then is the tail moved, by the claimer or
// by any producer that finds the tail too low. So at every moment, the owner and the length
// of each claim are known.
func (p *Producer) reserveShared(length uint64) (bool, error) {
	for range attempts {
		if got, err := p.claimAt(p.ring.header.tail.Load(), length); got != overtaken {
			return got == taken, err
		}
	}
	return false, nil
}

// Results of an attempt to claim.
const (
	overtaken = iota // another producer was there, or got further
	taken            // p has a claim
	full             // there is no room, or there is an error
)

// claimAt tries to claim a record at tail, which was header.tail a moment ago.
func (p *Producer) claimAt(tail, length uint64) (got int, err error) {
	r := p.ring
	if tail%unit != 0 {
		return full, corrupt("tail", tail)
	}
	at := tail & r.mask
	word := r.state(tail)
	w := word.Load()
	if r.header.tail.Load() != tail {
		// Others may have gone so far that the consumer has swept the word, which then seems
		// free. While tail is still here, no record that begins here has been consumed.
		return overtaken, nil
	}
	if r.current(w, tail) {
		n := extent(r.length(w))
		if at+n > r.capacity {
			return full, corrupt("record", w)
		}
		r.header.tail.CompareAndSwap(tail, tail+n)
		return overtaken, nil
	}
	if r.ahead(w, tail) {
		return full, corrupt("record", w)
	}
	size := extent(length)
	mine := r.word(tail, length, p.slot, claimed)
	if rest := r.capacity - at; rest < size {
		size, mine = rest, r.word(tail, rest, p.slot, skipped)
	}
	if ok, err := p.room(tail, size); err != nil && r.header.tail.Load() != tail {
		return overtaken, nil // others have moved tail, and then head was loaded
	} else if !ok {
		return full, err
	}
	if !word.CompareAndSwap(w, mine) {
		return overtaken, nil
	}
	r.header.tail.CompareAndSwap(tail, tail+size)
	if stateOf(mine) == skipped {
		p.notifyAt(tail)
		return overtaken, nil
	}
	p.claim, p.length = tail, length
	return taken, nil
}

// await blocks until reserve succeeds for a record of length bytes.
func (p *Producer) await(ctx context.Context, length uint64) error {
	defer p.vigil.end()
	l := p.lookout()
	return p.wait.wait(ctx,
		func() (bool, error) {
			if p.deserted() {
				return false, fmt.Errorf("shmring: %w", ErrClosed)
			}
			return p.reserve(length)
		}, l.check)
}

// A lookout watches the consumer during a wait for room.
type lookout struct {
	p    *Producer
	tick time.Duration
	seen uint64 // the head at the last check
}

func (p *Producer) lookout() lookout { return lookout{p, tick, p.ring.header.head.Load()} }

// check returns when to check again, and stranded. The vigil begins first, so that a process
// that ends in between is noticed.
func (l *lookout) check() (time.Duration, error) {
	p, r := l.p, l.p.ring
	pids, all := r.watchable(r.header.members[consumerRole:])
	most := p.vigil.tick(pids, all, p.wait.alarm)
	// The consumer does not wake producers for every message. There is no hurry to check
	// for room as long as it receives none at all.
	if head := r.header.head.Load(); head == l.seen {
		l.tick = min(2*l.tick, most)
	} else {
		l.tick, l.seen = tick, head
	}
	return l.tick, p.stranded()
}

// Room returns a source that is ready when TryClaim(n) would not have to wait. In a ring for
// Many, another producer may take the room first.
func (p *Producer) Room(n int) Source { return &room{p: p, n: n} }

// A room is a Producer as a source.
type room struct {
	p     *Producer
	n     int
	ahead lookout
}

func (m *room) source() source { return m }

func (m *room) enter() bool {
	if m.p.closed {
		return false
	}
	m.ahead = m.p.lookout()
	return true
}

// poll does not see that a process has claimed a record and not moved tail yet. Then it
// reports too much room, once: TryClaim moves tail.
func (m *room) poll() bool {
	p, r := m.p, m.p.ring
	if !p.ready(m.n) && p.refuse(m.n) != nil {
		return true
	}
	tail := p.tail
	if r.many {
		tail = r.header.tail.Load()
	}
	size := extent(uint64(m.n))
	if rest := r.capacity - tail&r.mask; rest < size {
		size += rest
	}
	ok, err := p.room(tail, size)
	return ok || err != nil
}

// check leaves the death of the consumer to TryClaim.
func (m *room) check() (tick time.Duration, ready bool) {
	tick, err := m.ahead.check()
	if err != nil {
		m.p.look = look{}
	}
	return tick, err != nil
}

func (m *room) sleeper() *waiter { return &m.p.wait }

func (m *room) exit() { m.p.vigil.end() }

// CheckConsumer returns ErrPeerDied if the consumer's process has ended without closing,
// and ErrClosed if the consumer or this producer has closed, whatever NamedOptions.Outlive
// says. Claim, TryClaim and Send call it while the ring is full, unless Outlive is set.
func (p *Producer) CheckConsumer() error {
	if p.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	switch ticket, dead := p.ring.dead(p.life, consumerRole); {
	case ticket == gone:
		return fmt.Errorf("shmring: %w", ErrClosed)
	case dead:
		return fmt.Errorf("shmring: %w: consumer, process %d", ErrPeerDied, p.ring.consumer().pid.Load())
	}
	return nil
}

// stranded is CheckConsumer for a wait. It returns nil if this producer waits for the next
// consumer.
func (p *Producer) stranded() error {
	if p.ring.outlive && !p.closed {
		return nil
	}
	return p.CheckConsumer()
}

// Bytes returns the claimed memory, which still holds earlier messages. Do not use it
// after Commit or Abort, after which Bytes returns nil.
func (c Claim) Bytes() []byte {
	if !c.current() {
		return nil
	}
	r := c.producer.ring
	at := c.producer.claim & r.mask
	return r.data[at : at+uint64(c.length) : at+uint64(c.length)]
}

// Commit makes the message visible to the consumer, and wakes it if it sleeps.
// Errors: ErrClaim; ErrCorrupt.
func (c Claim) Commit() error { return c.CommitN(c.length) }

// CommitN commits the first n bytes of the claim and releases the rest.
func (c Claim) CommitN(n int) error {
	if uint(n) > uint(c.length) {
		return fmt.Errorf("shmring: %w: %d bytes of a claim of %d", ErrTooLarge, n, c.length)
	}
	p := c.producer
	if !c.current() {
		return fmt.Errorf("shmring: %w", ErrClaim)
	}
	return p.publish(uint64(n))
}

// Abort releases the claim without sending a message. Errors: ErrClaim; ErrCorrupt.
func (c Claim) Abort() error {
	if !c.current() {
		return fmt.Errorf("shmring: %w", ErrClaim)
	}
	return c.producer.withdraw()
}

// current reports whether the claim is open.
func (c Claim) current() bool {
	return c.producer != nil && c.producer.claim != 0 && c.producer.claims == c.number
}

// publish commits the first n bytes of the open claim.
func (p *Producer) publish(n uint64) error {
	r, pos, length := p.ring, p.claim, p.length
	p.claim = 0
	size := extent(n)
	if !r.many {
		p.tail = pos + size
		p.clear(p.tail)
	} else if rest := extent(length) - size; rest > 0 {
		// The unused rest becomes a record of its own. No process looks there before the
		// commit has shortened this one.
		next := pos + size
		r.state(next).Store(r.word(next, rest, p.slot, skipped))
	}
	return p.commit(pos, length, n)
}

// commit publishes the record at pos, claimed with length, as a message of n bytes.
func (p *Producer) commit(pos, length, n uint64) error {
	r := p.ring
	word := r.state(pos)
	message := r.word(pos, n, p.slot, committed)
	if !r.many {
		memory.Store(word, message)
	} else if !word.CompareAndSwap(r.word(pos, length, p.slot, claimed), message) {
		return corrupt("claim", word.Load())
	}
	p.notifyAt(pos)
	return nil
}

// withdraw ends the open claim without a message.
func (p *Producer) withdraw() error {
	r, pos := p.ring, p.claim
	p.claim = 0
	if !r.many {
		return nil // no other process has seen it
	}
	word := r.state(pos)
	w := r.word(pos, p.length, p.slot, claimed)
	if !word.CompareAndSwap(w, w|skipped) {
		return corrupt("claim", word.Load())
	}
	p.notifyAt(pos)
	return nil
}

// notifyAt wakes the consumer if it sleeps and waits for the record at pos, which has
// ended. In a ring for Many the consumer may wait for an earlier claim. While it sleeps,
// head is where it waits: after it has moved head, it checks once more.
func (p *Producer) notifyAt(pos uint64) {
	h := p.ring.header
	if anyAsleep(&h.consumerSleeps) && (!p.ring.many || h.head.Load() == pos) {
		wake(&h.consumerSleeps)
	}
}

// notify wakes the consumer if it sleeps.
func (p *Producer) notify() {
	if anyAsleep(&p.ring.header.consumerSleeps) {
		wake(&p.ring.header.consumerSleeps)
	}
}

// Send claims, copies and commits a message, waiting like Claim.
func (p *Producer) Send(ctx context.Context, msg []byte) error {
	if _, err := p.Claim(ctx, len(msg)); err != nil {
		return err
	}
	copyCached(p.ring.data[p.claim&p.ring.mask:], msg)
	return p.publish(uint64(len(msg)))
}

// copyCached is copy, in pieces. From 1 MiB on, Go's copy bypasses the cache
// (runtime/memmove_amd64.s), and the other side would have to fetch the data from memory.
func copyCached(dst, src []byte) {
	const piece = 512 << 10
	for len(src) > piece {
		copy(dst, src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	copy(dst, src)
}

// SendBatch sends messages in order, blocking like Claim. It uses one claim and one commit
// for as many of them as fit into a quarter of the ring. The consumer sees all or none of
// the messages that were claimed together. SendBatch returns the number of messages sent,
// which is less than len(msgs) only if there is an error.
func (p *Producer) SendBatch(ctx context.Context, msgs [][]byte) (sent int, err error) {
	if len(msgs) == 0 {
		return 0, ctx.Err()
	}
	for sent < len(msgs) {
		n, total, err := p.fit(msgs[sent:])
		if err != nil {
			return sent, err
		}
		if _, err := p.Claim(ctx, int(total)); err != nil {
			return sent, err
		}
		if err := p.publishBatch(msgs[sent:sent+n], total, nil); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// SendMarked sends the messages and leaves the mark: all of it, or nothing, whenever the
// process dies. The consumer sees all the messages at once. It blocks like Claim. Each
// message counts as its length rounded up to a multiple of 64, and their sum must not be
// more than MaxMessage.
//
// Errors: those of Claim, and errors.ErrUnsupported: the ring is for Many, or there is no
// message.
func (p *Producer) SendMarked(ctx context.Context, msgs [][]byte, m Mark) error {
	if p.ring.many || len(msgs) == 0 {
		return fmt.Errorf("shmring: mark: %w: it needs a message, and a ring for one producer", errors.ErrUnsupported)
	}
	total := uint64(0)
	for _, msg := range msgs {
		total += extent(uint64(len(msg)))
	}
	if _, err := p.Claim(ctx, int(min(total, maxCapacity))); err != nil {
		return err
	}
	return p.publishBatch(msgs, total, &m)
}

// Mark returns the mark of the last SendMarked of this producer or an earlier one. ok is
// false if there was none. It stays when later messages are sent without a mark. Errors:
// ErrClosed.
func (p *Producer) Mark() (m Mark, ok bool, err error) {
	if p.closed {
		return m, false, fmt.Errorf("shmring: %w", ErrClosed)
	}
	m, ok = p.ring.header.marks.read(p.mark)
	return m, ok, nil
}

// fit returns the number of msgs to claim together, at least one, and their extent.
func (p *Producer) fit(msgs [][]byte) (n int, total uint64, err error) {
	for _, msg := range msgs {
		size := extent(uint64(len(msg)))
		if n > 0 && total+size > p.ring.capacity/4 {
			break
		}
		if len(msg) > p.ring.MaxMessage() {
			return 0, 0, fmt.Errorf("shmring: %w: it has %d bytes, at most %d fit, half the capacity", ErrTooLarge, len(msg), p.ring.MaxMessage())
		}
		total += size
		n++
	}
	return n, total, nil
}

// publishBatch divides the claim of total bytes into one record for each message. It
// commits the first one last, and the consumer sees none before that. The mark, if there is
// one, is written before.
func (p *Producer) publishBatch(msgs [][]byte, total uint64, m *Mark) error {
	r, first := p.ring, p.claim
	p.claim = 0
	for i, pos := 0, first; i < len(msgs); i++ {
		msg := msgs[i]
		copyCached(r.data[pos&r.mask:], msg)
		if i > 0 {
			r.state(pos).Store(r.word(pos, uint64(len(msg)), p.slot, committed))
		}
		pos += extent(uint64(len(msg)))
	}
	if p.tail = first + total; !r.many {
		p.clear(p.tail)
	}
	if m != nil {
		p.mark = r.header.marks.write(p.mark, p.tail, *m)
	}
	return p.commit(first, total, uint64(len(msgs[0])))
}

// Close leaves the ring and aborts an open claim. When the last producer has left, the
// consumer sees the end after the last message. A second Close returns ErrClosed.
func (p *Producer) Close() error {
	if p.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	var err error
	if p.claim != 0 {
		err = p.withdraw()
	}
	p.closed = true
	p.ring.leave(p.life, p.slot, p.ticket)
	wake(&p.ring.header.consumerSleeps) // it may be waiting for the end
	p.life.Close()
	p.unpin()
	return err
}
