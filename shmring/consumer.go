package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
)

// A Consumer receives messages from a ring. Only one goroutine may use it at a time.
type Consumer struct {
	ring *Ring
	next uint64 // position of the first record that was not handed out
	free uint64 // the ring's head: everything before it is free

	unpin func()
	wait  waiter
	look  look
	taken uint64 // messages since the last wait
	began uint64 // next at that time

	life   line
	ticket uint64
	vigil  vigil  // during a long wait
	asleep uint64 // free when producers were first seen asleep, 0 if none is
	closed bool
}

// JoinConsumer takes the consumer's role. If the previous consumer died, this one receives
// again the messages that its predecessor had received but not released. Errors: ErrBusy;
// ErrClosed (the Ring); ErrCorrupt; fs.PathError.
func (r *Ring) JoinConsumer() (*Consumer, error) {
	unpin, err := r.pin()
	if err != nil {
		return nil, err
	}
	c, err := r.newConsumer()
	if err != nil {
		unpin()
		return nil, err
	}
	c.unpin = unpin
	return c, nil
}

func (r *Ring) newConsumer() (*Consumer, error) {
	life, err := r.lifeline()
	if err != nil {
		return nil, err
	}
	ticket, err := r.attend(life)
	if err != nil {
		life.Close()
		return nil, err
	}
	head := r.header.head.Load()
	if head%unit != 0 {
		r.leave(life, consumerRole, ticket)
		life.Close()
		return nil, corrupt("head", head)
	}
	c := &Consumer{ring: r, next: head, free: head, began: head, life: life, ticket: ticket}
	c.wait.start(&r.header.consumerSleeps, r.spin, pauseLeast)
	wake(&r.header.producersSleep) // they now have somebody whose death they must notice
	return c, nil
}

// Receive returns the next message. The slice is the ring's memory. It is valid until the
// next call of any method of c, which releases it. A peer that is not trusted may change
// it at any time, so copy it before checking it.
//
// Receive blocks while the ring is empty. It spins for up to 0.1 ms if more than one
// processor may run this process, then sleeps, occupying a thread. If ctx is done, it
// returns an error that unwraps to ctx.Err(), even if there is a message.
//
// If all producers that had joined have closed, and no message is left, the error is
// io.EOF. If at least one of their processes ended without closing, it is ErrPeerDied
// instead, within 0.5 s. After either, Receive may be called again: it waits for another
// producer. With NamedOptions.Outlive it waits at once. Other errors: ErrClosed; ErrCorrupt.
func (c *Consumer) Receive(ctx context.Context) ([]byte, error) {
	c.Release()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	msg, ok, err := c.tryReceive()
	if ok || err != nil {
		return msg, err
	}
	err = c.await(ctx, func() (ok bool, err error) {
		msg, ok, err = c.take()
		return ok, err
	})
	return msg, err
}

// TryReceive is Receive without blocking. ok reports whether there was a message. If there
// is none, it checks several times a second whether producers have died.
func (c *Consumer) TryReceive() (msg []byte, ok bool, err error) {
	c.Release()
	if msg, ok, err = c.tryReceive(); ok || err != nil || !c.look.due() {
		return msg, ok, err
	}
	c.ring.buryAll(c.life)
	return c.tryReceive()
}

func (c *Consumer) tryReceive() (msg []byte, ok bool, err error) {
	if msg, ok, err = c.take(); ok || err != nil {
		return msg, ok, err
	}
	return nil, false, c.idle()
}

// ReceiveBatch stores available messages in msgs and returns their number. It blocks like
// Receive until there is at least one. They are valid until the next call of any method of
// c.
func (c *Consumer) ReceiveBatch(ctx context.Context, msgs [][]byte) (n int, err error) {
	if len(msgs) == 0 {
		return 0, ctx.Err()
	}
	if msgs[0], err = c.Receive(ctx); err != nil {
		return 0, err
	}
	for n = 1; n < len(msgs); n++ {
		msg, ok, err := c.take()
		if err != nil || !ok {
			break // the next call returns the error again
		}
		msgs[n] = msg
	}
	return n, nil
}

// TryReceiveMore is TryReceive, but keeps the messages that were received before: all are
// valid until ReleaseTo, or until another method releases them. So a program can pass on
// messages and release each when it knows that it has arrived. If the process dies before,
// the next consumer receives them again.
//
// It does not look for the end, see Receive.
func (c *Consumer) TryReceiveMore() (msg []byte, ok bool, err error) {
	if msg, ok, err = c.take(); ok || err != nil {
		return msg, ok, err
	}
	c.asleep = 0
	wake(&c.ring.header.producersSleep)
	if !c.look.due() {
		return nil, false, nil
	}
	c.ring.buryAll(c.life)
	return c.take()
}

// Position returns up to where messages were received. Right after a message, that is where
// it ends. Positions are as in Positions, and are the same for a later consumer. So Ring.ID
// and its position name a message for ever.
func (c *Consumer) Position() uint64 { return c.next }

// ReleaseTo is Release for the messages up to a position, which Position has returned. It
// does nothing if they are released already. An error means that Position has not got
// there.
func (c *Consumer) ReleaseTo(position uint64) error {
	switch {
	case c.closed:
		return fmt.Errorf("shmring: %w", ErrClosed)
	case position > c.next || position%unit != 0:
		return fmt.Errorf("shmring: position %d is not one of a message that was received", position)
	case position > c.free:
		c.release(position)
	}
	return nil
}

// Rewind goes back to the first message that was not released: the next call receives it
// again, and Close leaves it to the next consumer.
func (c *Consumer) Rewind() { c.next = c.free }

// Messages returns all messages, each valid until the next iteration. The sequence ends
// without an error when Receive returns io.EOF, and after any other error. The message at
// which a loop stops early counts as received.
//
// If producers come one after another, the sequence ends after each of them, unless the
// consumer outlives them (NamedOptions.Outlive). A caller that knows their number can check
// Members().Ended for the last one.
func (c *Consumer) Messages(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			msg, err := c.Receive(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(msg, err) || err != nil {
				c.Release()
				return
			}
		}
	}
}

// take returns the next message, if there is one. It skips records without a message, but
// no more than fit into the ring, so that a misbehaving producer cannot keep it in the
// loop.
func (c *Consumer) take() (msg []byte, ok bool, err error) {
	r := c.ring
	if c.closed {
		return nil, false, fmt.Errorf("shmring: %w", ErrClosed)
	}
	for first := c.next; c.next-first < r.capacity; {
		at := c.next & r.mask
		w := r.state(c.next).Load()
		if !r.current(w, c.next) || stateOf(w) < committed {
			return nil, false, nil
		}
		length := r.length(w)
		size := extent(length)
		if at+size > r.capacity {
			return nil, false, corrupt("record", w)
		}
		c.next += size
		if stateOf(w) == committed {
			c.taken++
			return r.data[at : at+length : at+length], true, nil
		}
	}
	return nil, false, nil
}

// Release returns the memory of all received messages to the producers. Each receiving
// method does this first, so call it only before waiting for something else.
func (c *Consumer) Release() {
	if c.free != c.next {
		c.release(c.next)
	}
}

func (c *Consumer) release(to uint64) {
	first := c.free
	c.free = to
	header := c.ring.header
	memory.Store(&header.head, c.free)
	if c.free%sweepPeriod < 2*c.ring.capacity {
		c.sweep(first)
	}
	if anyAsleep(&header.producersSleep) {
		c.wakeAtHalf()
	}
}

// sweep sets the state words of all units from first to head to free, in the first lap of
// each sweepPeriod. The state word of a unit where no record has begun for long becomes
// old, and after 2^55 bytes its lap would look like a future one. sweep leaves a word that
// a producer has written since head was moved.
func (c *Consumer) sweep(first uint64) {
	r := c.ring
	for pos := first; pos != c.free; pos += unit {
		word := r.state(pos)
		if w := word.Load(); !r.current(w, pos+r.capacity) {
			word.CompareAndSwap(w, r.word(pos, 0, 0, free))
		}
	}
}

// wakeAtHalf wakes the producers when half of the ring has been received since they were
// first seen asleep. If they were woken for every message, they would fall asleep as
// often.
func (c *Consumer) wakeAtHalf() {
	if c.asleep == 0 {
		c.asleep = c.free
	}
	if c.free-c.asleep >= c.ring.capacity/2 {
		c.asleep = 0
		wake(&c.ring.header.producersSleep)
	}
}

// idle does what is due when there is no message, and returns an error if there is a reason
// not to wait.
func (c *Consumer) idle() error {
	if err := c.settle(); err != nil {
		return err
	}
	return c.end()
}

// settle releases skipped records, wakes producers, and checks the next record.
func (c *Consumer) settle() error {
	c.Release()
	c.asleep = 0
	r := c.ring
	wake(&r.header.producersSleep)
	w := r.state(c.next).Load()
	switch {
	case r.ahead(w, c.next):
		return corrupt("record", w)
	case r.current(w, c.next) && stateOf(w) == claimed && r.header.members[ownerOf(w)].ticket.Load() == nobody:
		// Check again: a producer may have committed and left in between.
		if r.state(c.next).Load() == w {
			return corrupt("claim without an owner", w)
		}
	}
	return nil
}

// ended reports whether every producer that joined since the last end has left, and at
// least one did. The order of the checks matters. A joining producer takes a slot before it
// is counted; a leaving one commits before it gives up its slot. Slots are checked one after
// another, so a producer may take a slot already checked before another leaves a later slot.
// The count shows that.
func (c *Consumer) ended() (joins, deaths uint32, ended bool) {
	r := c.ring
	h := r.header
	joins, deaths = h.joins.Load(), h.deaths.Load()
	if joins == h.seenJoins.Load() && deaths == h.seenDeath.Load() || !r.noProducers() || h.joins.Load() != joins {
		return 0, 0, false
	}
	w := r.state(c.next).Load()
	return joins, deaths, !r.current(w, c.next)
}

// end returns io.EOF or ErrPeerDied if the producers have ended.
func (c *Consumer) end() error {
	joins, deaths, ended := c.ended()
	if !ended {
		return nil
	}
	r, h := c.ring, c.ring.header
	died := deaths != h.seenDeath.Load()
	h.seenJoins.Store(joins)
	h.seenDeath.Store(deaths)
	if r.outlive {
		return nil
	}
	if died {
		return fmt.Errorf("shmring: %w: producer", ErrPeerDied)
	}
	return io.EOF
}

// await blocks until take, which uses c.take, succeeds.
func (c *Consumer) await(ctx context.Context, take func() (bool, error)) error {
	defer c.vigil.end()
	c.wait.pace(c.taken, c.next-c.began, c.ring.capacity)
	c.taken, c.began = 0, c.next
	return c.wait.wait(ctx,
		func() (bool, error) { return c.settled(take, c.idle) },
		func() (time.Duration, error) { return c.reap(), nil })
}

// settled calls take and, if that fails, idle. Producers wake only a consumer whose head is
// at their record. So after moving head, it checks once more. The bound stops a misbehaving
// producer.
func (c *Consumer) settled(take func() (bool, error), idle func() error) (bool, error) {
	for range 16 {
		if ok, err := take(); ok || err != nil {
			return ok, err
		}
		moved := c.free != c.next
		if err := idle(); err != nil || !moved {
			return false, err
		}
	}
	return false, nil
}

// reap buries dead producers and watches the others. It returns when to do so again. The
// vigil begins first, so that a process that ends in between is noticed.
func (c *Consumer) reap() time.Duration {
	r := c.ring
	pids, all := r.watchable(r.producers())
	next := c.vigil.tick(pids, all, c.wait.alarm)
	r.buryAll(c.life)
	return next
}

func (c *Consumer) source() source { return c }

func (c *Consumer) enter() bool { return !c.closed }

// poll settles the consumer if there is no message. It leaves messages, and the end of the
// producers, to the next call that receives.
func (c *Consumer) poll() bool {
	ok, err := c.settled(c.peek, func() error {
		if err := c.settle(); err != nil {
			return err
		}
		if c.ring.outlive {
			return c.end() // which only notes it
		}
		if _, _, ended := c.ended(); ended {
			return io.EOF
		}
		return nil
	})
	return ok || err != nil
}

// peek reports whether there is a message, and passes over records without one.
func (c *Consumer) peek() (bool, error) {
	msg, ok, err := c.take()
	if ok {
		c.next -= extent(uint64(len(msg)))
		c.taken--
	}
	return ok, err
}

func (c *Consumer) check() (tick time.Duration, ready bool) { return c.reap(), false }

func (c *Consumer) sleeper() *waiter { return &c.wait }

func (c *Consumer) exit() { c.vigil.end() }

// ReapProducers frees the roles of producers whose processes have died, and withdraws their
// claims, so that later messages of others can be received. Members().Died counts the dead.
// Receive and TryReceive call it while there is no message.
func (c *Consumer) ReapProducers() {
	if !c.closed {
		c.ring.buryAll(c.life)
	}
}

// Close releases what was received and gives up the role. Producers get ErrClosed until
// there is another consumer. A second Close returns ErrClosed.
func (c *Consumer) Close() error {
	if c.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	c.Release()
	c.closed = true
	c.ring.leave(c.life, consumerRole, c.ticket)
	wake(&c.ring.header.producersSleep)
	c.life.Close()
	c.unpin()
	return nil
}
