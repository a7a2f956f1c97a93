package shmring

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
)

// WriterOptions holds the options of JoinWriter.
type WriterOptions struct {
	// MaxWait bounds each wait for readers that Block; 0 means that only the context does.
	MaxWait time.Duration
}

// A BroadcastWriter sends messages to all readers of a Broadcast. Only one goroutine may
// use it at a time.
type BroadcastWriter struct {
	b       *Broadcast
	unpin   func()
	life    line
	ticket  uint64
	maxWait time.Duration
	wait    waiter
	vigil   vigil // during a long wait

	next   uint64 // number of the next message
	end    uint64 // position after the last one
	floor  uint64 // header.floor
	safe   uint64 // no reader that blocks needs a message before this one
	joins  uint64 // header.joins when safe was determined
	mark   int    // the slot of the last mark, -1 if there is none
	closed bool
}

// JoinWriter takes the writer's role. If the previous writer died, this one continues after
// its last whole message. nil options mean the zero value. Errors: ErrBusy (there is a
// writer); ErrClosed (the Broadcast); ErrCorrupt; ErrFault; fs.PathError.
func (b *Broadcast) JoinWriter(o *WriterOptions) (*BroadcastWriter, error) {
	if o == nil {
		o = &WriterOptions{}
	}
	unpin, err := b.pin()
	if err != nil {
		return nil, fmt.Errorf("shmring: %w", closedOr(err))
	}
	w := &BroadcastWriter{b: b, unpin: unpin, maxWait: o.MaxWait}
	if err := guarded(w.join); err != nil {
		unpin()
		return nil, err
	}
	return w, nil
}

func (w *BroadcastWriter) join() (err error) {
	b := w.b
	if w.life, err = b.lifeline(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.life.Close() // which frees the role, too
		}
	}()
	was, dead := b.dead(w.life, writerRole)
	if vacant(was) || dead {
		w.ticket, err = b.take(w.life, writerRole, was)
	}
	switch {
	case err != nil:
		return err
	case w.ticket == 0:
		return fmt.Errorf("shmring: %w: there is a writer already", ErrBusy)
	}
	if err := w.resume(); err != nil {
		b.leave(w.life, writerRole, w.ticket)
		return err
	}
	w.wait.start(&b.header.writerSleeps, b.spin, producerPause)
	b.header.sessions.Add(1)
	wake(&b.header.readersSleep) // they now have a process whose death they must notice
	return nil
}

// resume finds out where the previous writer ended. A message that was not published does
// not exist.
func (w *BroadcastWriter) resume() error {
	b := w.b
	w.next, w.floor = b.header.published.Load(), b.header.floor.Load()
	w.mark = b.header.marks.resume(w.next)
	if w.next-w.floor > uint64(len(b.index)) {
		return corrupt("floor", w.floor)
	}
	if w.next > 0 {
		pos, length, ok := b.locate(w.next - 1)
		if !ok {
			return corrupt("message", w.next-1)
		}
		w.end = pos + extent(length)
	}
	return nil
}

// entry returns the entry of message n.
func (b *Broadcast) entry(n uint64) *entry { return &b.index[n&uint64(len(b.index)-1)] }

// locate returns where message n lies, as its entry says. ok means that this is within the
// data.
func (b *Broadcast) locate(n uint64) (pos, length uint64, ok bool) {
	e := b.entry(n)
	pos, length = e.position.Load(), e.length.Load()
	return pos, length, pos%unit == 0 && length <= b.capacity/2 && pos&b.mask+length <= b.capacity
}

// Send sends a message to all readers. It blocks while a reader that Blocks has not
// received a message that this one would overwrite, but for WriterOptions.MaxWait at most.
// It does not wait for dead readers: a Send that waits notices a death within 0.5 s. Send
// spins, then sleeps, as Producer.Claim does. If ctx is done, it returns an error that
// unwraps to ctx.Err(), even if it need not wait. If there is an error, the message is not
// sent.
//
// Errors: a *SlowError, which is an ErrSlow; ErrTooLarge; ErrClosed; ErrFault.
func (w *BroadcastWriter) Send(ctx context.Context, msg []byte) error {
	return guarded(func() error {
		at, err := w.claim(ctx, len(msg))
		if err == nil {
			copyCached(w.b.data[at&w.b.mask:], msg)
			w.publish(at, uint64(len(msg)))
		}
		return err
	})
}

// SendMarked sends the message and leaves the mark: both, or nothing, whenever the process
// dies. It blocks, and fails, like Send.
func (w *BroadcastWriter) SendMarked(ctx context.Context, msg []byte, m Mark) error {
	return guarded(func() error {
		at, err := w.claim(ctx, len(msg))
		if err == nil {
			copyCached(w.b.data[at&w.b.mask:], msg)
			w.mark = w.b.header.marks.write(w.mark, w.next+1, m)
			w.publish(at, uint64(len(msg)))
		}
		return err
	})
}

// Mark returns the mark of the last SendMarked, by this writer or an earlier one. ok is
// false if there was none. It stays when later messages are sent without a mark. Errors:
// ErrClosed; ErrFault.
func (w *BroadcastWriter) Mark() (m Mark, ok bool, err error) {
	if w.closed {
		return m, false, fmt.Errorf("shmring: %w", ErrClosed)
	}
	err = guarded(func() error { m, ok = w.b.header.marks.read(w.mark); return nil })
	return m, ok, err
}

// SendFunc is Send for a message that fill writes in place. fill gets n bytes, which hold
// earlier messages, and returns how many of them it used. If it returns an error or panics,
// nothing is sent. fill must not keep the slice, or use the writer.
func (w *BroadcastWriter) SendFunc(ctx context.Context, n int, fill func(p []byte) (used int, err error)) error {
	return guarded(func() error {
		at, err := w.claim(ctx, n)
		if err != nil {
			return err
		}
		off := at & w.b.mask
		used, err := fill(w.b.data[off : off+uint64(n) : off+uint64(n)])
		switch {
		case err != nil:
			return err
		case uint(used) > uint(n):
			return fmt.Errorf("shmring: %w: %d bytes of %d", ErrTooLarge, used, n)
		}
		w.publish(at, uint64(used))
		return nil
	})
}

// claim makes room for a message of n bytes, and returns its position.
func (w *BroadcastWriter) claim(ctx context.Context, n int) (at uint64, err error) {
	b := w.b
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case w.closed:
		return 0, fmt.Errorf("shmring: %w", ErrClosed)
	case uint64(n) > b.capacity/2:
		return 0, fmt.Errorf("shmring: %w: it has %d bytes, at most %d fit, half the capacity", ErrTooLarge, n, b.MaxMessage())
	}
	size := extent(uint64(n))
	at = w.end
	if at&b.mask+size > b.capacity {
		at = (at | b.mask) + 1
	}
	first := w.kept(w.floor, at+size, w.next+1) // the first message that stays whole
	if err = w.await(ctx, first); err == nil && first > w.floor {
		w.raise(first, at, size)
		err = w.await(ctx, first) // in case a reader has come
	}
	return at, err
}

// kept returns the first message from n on that stays whole when the data is written up to
// end and the index up to entry next.
func (w *BroadcastWriter) kept(n, end, next uint64) uint64 {
	b := w.b
	for n < w.next && (next-n > uint64(len(b.index)) || end-b.entry(n).position.Load() > b.capacity) {
		n++
	}
	return n
}

// raise declares messages before first overwritten. For small messages it goes ahead by a
// sixteenth of the capacity, because readers of Latest fetch the word each time it changes.
//
// No part of the message may be written before readers can see the new floor. On processors
// with weak order, stores after an atomic store can be seen before it. An atomic load
// between them prevents that: sequentially consistent operations keep their order, and
// nothing moves before an atomic load. Here this is the load of joins.
//
// A reader that begins to block first stores which message it needs, and increments joins.
// Then it loads the floor. So either the writer sees the new number of joins, and checks
// again which messages readers need, or the reader sees the new floor, and needs nothing
// before it.
func (w *BroadcastWriter) raise(first, at, size uint64) {
	h, c := w.b.header, w.b.capacity
	if size <= c/messageRoom {
		first = w.kept(first, at+size+c/16, w.next+1+uint64(len(w.b.index))/16)
	}
	memory.Store(&h.floor, first)
	w.floor = first
	if joins := h.joins.Load(); joins != w.joins {
		w.joins, w.safe = joins, 0
	}
}

// scan determines w.safe: the first message that a reader that blocks still needs.
func (w *BroadcastWriter) scan() uint64 {
	h := w.b.header
	w.joins = h.joins.Load() // a reader that comes later changes it
	w.safe = math.MaxUint64
	for mask := h.blocking.Load(); mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if w.b.members[i].ticket.Load() != nobody {
			w.safe = min(w.safe, w.b.readers[i].next.Load())
		}
	}
	return w.safe
}

// await blocks until no reader needs a message before first.
func (w *BroadcastWriter) await(ctx context.Context, first uint64) error {
	if first <= w.safe || w.scan() >= first {
		return nil
	}
	return w.sleep(ctx, first)
}

func (w *BroadcastWriter) sleep(ctx context.Context, first uint64) error {
	b := w.b
	defer w.vigil.end()
	b.evict(w.life)
	if w.maxWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.maxWait)
		defer cancel()
	}
	// Readers of many small messages wake the writer only when they have received half of the
	// messages. If they woke it for each message, it would fall asleep as often.
	wanted := first
	if pending := w.next - first; pending > 16 {
		wanted += pending / 2
	}
	b.header.wanted.Store(wanted)
	free := func() (bool, error) { return w.scan() >= first, nil }
	err := w.wait.wait(ctx, free, func() (time.Duration, error) {
		// Start the vigil before checking, so that a process that ends in between is noticed.
		pids, all := w.watched(first)
		next := min(w.vigil.tick(pids, all, w.wait.alarm), longTick)
		b.evict(w.life)
		return next, nil
	})
	if err == nil || w.scan() >= first {
		return nil // there may have been room for a while, but too little for readers to wake the writer
	}
	return w.slow(first, err)
}

// behind returns the readers that block and need a message before first.
func (w *BroadcastWriter) behind(first uint64) (slots []int) {
	b := w.b
	for mask := b.header.blocking.Load(); mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if b.members[i].ticket.Load() != nobody && b.readers[i].next.Load() < first {
			slots = append(slots, i)
		}
	}
	return slots
}

// watched returns the processes of readers that are behind, as base.watchable does.
func (w *BroadcastWriter) watched(first uint64) (pids []int, all bool) {
	for _, i := range w.behind(first) {
		one, ok := w.b.watchable(w.b.members[i : i+1])
		if !ok {
			return nil, false
		}
		pids = append(pids, one...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), true
}

// slow returns the error for a wait that ended without room.
func (w *BroadcastWriter) slow(first uint64, cause error) error {
	e := &SlowError{Cause: cause}
	for _, i := range w.behind(first) {
		e.Readers = append(e.Readers, w.b.subscriber(i))
	}
	slices.SortFunc(e.Readers, func(a, b Subscriber) int { return cmp.Compare(b.Behind, a.Behind) })
	return e
}

// publish makes the message at the position visible. All of the message has been written
// before.
func (w *BroadcastWriter) publish(at, length uint64) {
	e := w.b.entry(w.next)
	e.position.Store(at)
	e.length.Store(length)
	w.end = at + extent(length)
	w.next++
	h := w.b.header
	memory.Store(&h.published, w.next)
	if anyAsleep(&h.readersSleep) {
		wake(&h.readersSleep)
	}
}

// Published returns how many messages have been sent, by this and earlier writers.
func (w *BroadcastWriter) Published() uint64 { return w.next }

// Close leaves the broadcast. Readers get io.EOF after the last message; another writer may
// come later. A second Close returns ErrClosed.
func (w *BroadcastWriter) Close() error {
	if w.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	w.closed = true
	err := guarded(func() error {
		w.b.leave(w.life, writerRole, w.ticket)
		wake(&w.b.header.readersSleep)
		return nil
	})
	w.life.Close()
	w.unpin()
	return err
}
