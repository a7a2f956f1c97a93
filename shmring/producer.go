package shmring

import (
	"context"
	"fmt"
	"time"
)

// A Producer puts messages into a ring. It is not for use by several goroutines at
// once; each takes its own, which a ring for Many allows.
type Producer struct {
	ring   *Ring
	slot   int
	unpin  func()
	life   line
	ticket uint64
	tail   uint64 // One: where the next record begins
	stale  uint64 // One: before this position another producer may have left state words
	head   uint64 // what the consumer's head was when it was last looked at
	wait   waiter
	vigil  vigil // during a long wait
	look   look

	claim  uint64 // position of the claim under way, 0 if there is none
	length uint64 // of the claim
	claims uint64 // how many there have been: tells the claim under way from an earlier one
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
	p := &Producer{ring: r, slot: slot, head: r.header.head.Load(), life: life, ticket: ticket}
	p.wait.start(&r.header.producersSleep, r.spin, producerPause)
	if !r.many {
		if p.tail, err = r.findTail(p.head); err != nil {
			r.leave(life, slot, ticket)
			life.Close()
			return nil, err
		}
		p.stale = p.head + r.capacity
		p.clear(p.tail)
	}
	r.header.joins.Add(1)
	p.notify() // a sleeping consumer now has somebody whose death it must notice
	return p, nil
}

// findTail follows the records from head to where the previous producer ended. It
// reads the state words of records only: those of an empty ring stay without memory,
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

// clear makes pos, where a record is about to end, free. A producer that died may have
// written the state words of a batch, all but the first: the consumer must not find one
// of them where our next record will begin. They end where that producer's room did.
func (p *Producer) clear(pos uint64) {
	if int64(p.stale-pos) > 0 {
		p.ring.state(pos).Store(0)
	}
}

// A Claim is room in the ring for a message, to be filled and then committed or
// aborted.
type Claim struct {
	// Three words, which the compiler keeps in registers.
	producer *Producer
	number   uint64 // producer.claims when it was made
	length   int
}

// Claim takes room for a message of n bytes, from 0 to MaxMessage. It waits while
// the ring is full. A done ctx ends the call, also where it need not wait; the error
// unwraps to ctx.Err(). The wait spins for up to 0.1 ms if more than one processor may
// run this process, then sleeps, occupying a thread of the operating system.
//
// A producer can have one claim at a time. In a ring for Many the messages of others
// are received only after an earlier claim is over, so it should be short.
//
// Errors: ErrTooLarge; ErrClaim; ErrClosed (the consumer has closed, or this producer);
// ErrPeerDied (the consumer's process has ended, learnt within 0.5 s of waiting); ErrCorrupt.
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

// TryClaim is Claim without waiting; ok reports whether there was room. If there is
// none because the consumer has died the error is ErrPeerDied, as for Claim.
func (p *Producer) TryClaim(n int) (c Claim, ok bool, err error) {
	if c, ok, err = p.tryClaim(n); ok || err != nil || !p.look.due() {
		return c, ok, err
	}
	if err := p.CheckConsumer(); err != nil {
		p.look = look{} // the next call says so too
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

// ready reports whether a claim of n bytes can be made, but for room.
func (p *Producer) ready(n int) bool {
	return p.claim == 0 && !p.closed && uint64(n) <= p.ring.capacity/2 && p.ring.consumer().ticket.Load() != gone
}

// refuse tells why it can't.
func (p *Producer) refuse(n int) error {
	switch {
	case p.closed || p.ring.consumer().ticket.Load() == gone:
		return fmt.Errorf("shmring: %w", ErrClosed)
	case p.claim != 0:
		return fmt.Errorf("shmring: %w", ErrClaim)
	case uint64(n) > p.ring.capacity/2:
		return fmt.Errorf("shmring: %w: %d bytes of %d", ErrTooLarge, n, p.ring.MaxMessage())
	}
	return nil // the consumer came back just now: as if there were no room
}

// reserve makes room for a record of length bytes and sets p.claim, or tells that
// there is none.
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

// room tells whether size bytes from pos on are free.
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

// attempts bounds how often reserveShared is overtaken before it gives up. In a
// sane ring it is overtaken only by somebody who got further.
const attempts = 1 << 12

// reserveShared claims a record among several producers. The claim is one
// compare-and-swap of the state word at the tail, from whatever an earlier lap left
// there to the claim with its owner and length. Only then is the tail moved, by the
// claimer or by anybody who finds it behind: there is no moment at which a claim
// exists and can't be told whose and how long it is.
func (p *Producer) reserveShared(length uint64) (bool, error) {
	r := p.ring
	size := extent(length)
	var stray error // what can't be, unless the tail that was loaded is out of date
	for range attempts {
		tail := r.header.tail.Load()
		if tail%unit != 0 {
			return false, corrupt("tail", tail)
		}
		at := tail & r.mask
		word := r.state(tail)
		w := word.Load()
		if r.current(w, tail) {
			n := extent(r.length(w))
			if at+n > r.capacity {
				return false, corrupt("record", w)
			}
			r.header.tail.CompareAndSwap(tail, tail+n)
			continue
		}
		if r.ahead(w, tail) {
			// Between the two loads others have gone round the ring.
			stray = corrupt("record", w)
			continue
		}

		take, mine := size, r.word(tail, length, p.slot, claimed)
		if rest := r.capacity - at; rest < size {
			take, mine = rest, r.word(tail, rest, p.slot, skipped)
		}
		var ok bool
		if ok, stray = p.room(tail, take); stray != nil {
			continue
		}
		if !ok {
			return false, nil
		}
		if !word.CompareAndSwap(w, mine) {
			continue
		}
		r.header.tail.CompareAndSwap(tail, tail+take)
		if stateOf(mine) == claimed {
			p.claim, p.length = tail, length
			return true, nil
		}
		p.notifyAt(tail)
	}
	return false, stray
}

// await waits until reserve succeeds for a record of length bytes.
func (p *Producer) await(ctx context.Context, length uint64) error {
	r := p.ring
	defer p.vigil.end()
	next, seen := tick, r.header.head.Load()
	return p.wait.wait(ctx,
		func() (bool, error) {
			if r.consumer().ticket.Load() == gone {
				return false, fmt.Errorf("shmring: %w", ErrClosed)
			}
			return p.reserve(length)
		},
		func() (time.Duration, error) {
			// First the vigil, then the look: who ends in between is seen.
			pids, all := r.watchable(r.header.members[consumerRole:])
			most := p.vigil.tick(pids, all, p.wait.alarm)
			// The consumer does not wake for every message. Only while it receives none
			// at all is there no hurry to look.
			if head := r.header.head.Load(); head == seen {
				next = min(2*next, most)
			} else {
				next, seen = tick, head
			}
			return next, p.CheckConsumer()
		})
}

// CheckConsumer returns ErrPeerDied if the consumer's process has ended without
// closing, and ErrClosed if it has closed or this producer has. Claim, TryClaim and
// Send look by themselves while the ring is full.
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

// Bytes returns the claimed memory. What is in it is left from earlier messages. It
// must not be used after Commit or Abort, after which Bytes returns nil.
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

// CommitN commits the first n bytes of the claim and gives the rest back.
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

// Abort gives the claim back; there will be no message. Errors: ErrClaim; ErrCorrupt.
func (c Claim) Abort() error {
	if !c.current() {
		return fmt.Errorf("shmring: %w", ErrClaim)
	}
	return c.producer.withdraw()
}

// current reports whether the claim is the one under way.
func (c Claim) current() bool {
	return c.producer != nil && c.producer.claim != 0 && c.producer.claims == c.number
}

// publish commits the first n bytes of the claim under way.
func (p *Producer) publish(n uint64) error {
	r, pos, length := p.ring, p.claim, p.length
	p.claim = 0
	size := extent(n)
	if !r.many {
		p.tail = pos + size
		p.clear(p.tail)
	} else if rest := extent(length) - size; rest > 0 {
		// The unused rest becomes a record of its own. Nobody looks there before the
		// commit has made this one shorter.
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
		word.Store(message)
	} else if !word.CompareAndSwap(r.word(pos, length, p.slot, claimed), message) {
		return corrupt("claim", word.Load())
	}
	p.notifyAt(pos)
	return nil
}

// withdraw ends the claim under way without a message.
func (p *Producer) withdraw() error {
	r, pos := p.ring, p.claim
	p.claim = 0
	if !r.many {
		return nil // nobody has seen it
	}
	word := r.state(pos)
	w := r.word(pos, p.length, p.slot, claimed)
	if !word.CompareAndSwap(w, w|skipped) {
		return corrupt("claim", word.Load())
	}
	p.notifyAt(pos)
	return nil
}

// notifyAt wakes the consumer if it sleeps and waits for the record at pos, which is over
// now. In a ring for Many it may wait for a claim before that. While it sleeps, its head is
// where it waits; having moved it there it looks once more.
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

// copyCached is copy, in pieces. From 1 MiB on Go's copy writes past the cache
// (runtime/memmove_amd64.s), and the other side would have to fetch it from memory.
func copyCached(dst, src []byte) {
	const piece = 512 << 10
	for len(src) > piece {
		copy(dst, src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	copy(dst, src)
}

// SendBatch sends messages in order, waiting like Claim, with one claim and one
// commit for as many of them as fit into a quarter of the ring. It returns how many
// were sent: fewer than all only with an error. Of those that were claimed together
// the consumer sees all or none.
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
		if err := p.publishBatch(msgs[sent:sent+n], total); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// fit returns how many of msgs to claim together, at least one, and their extent.
func (p *Producer) fit(msgs [][]byte) (n int, total uint64, err error) {
	for _, msg := range msgs {
		size := extent(uint64(len(msg)))
		if n > 0 && total+size > p.ring.capacity/4 {
			break
		}
		if len(msg) > p.ring.MaxMessage() {
			return 0, 0, fmt.Errorf("shmring: %w: %d bytes of %d", ErrTooLarge, len(msg), p.ring.MaxMessage())
		}
		total += size
		n++
	}
	return n, total, nil
}

// publishBatch turns the claim of total bytes into one record for each message. The
// first is committed last, and the consumer sees none before it.
func (p *Producer) publishBatch(msgs [][]byte, total uint64) error {
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
	return p.commit(first, total, uint64(len(msgs[0])))
}

// Close leaves the ring, aborting a claim under way. When the last producer has
// left, the consumer sees the end after the last message. Close again returns
// ErrClosed.
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
	wake(&p.ring.header.consumerSleeps) // it may be the end that it waits for
	p.life.Close()
	p.unpin()
	return err
}
