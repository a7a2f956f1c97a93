package shmring

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A Server answers the requests of a Service. Several goroutines may use it at a time: each
// request goes to one of them.
type Server struct {
	s      *Service
	unpin  func()
	life   line
	ticket uint64
	clock  clock

	turn chan struct{} // held while receiving
	wait waiter
	last int             // the client whose request was taken last
	next [slotCount]int  // of each client, the call to look at first
	open []atomic.Uint64 // of each call, its state word until it is answered, then 0
	bufs [][]byte        // copies of their requests

	using  sync.RWMutex // held shared during a Reply
	closed atomic.Bool
}

// JoinServer takes the server's role. Requests that a dead server had taken fail with
// ErrPeerDied; this server receives the requests that no server had taken. Errors: ErrBusy
// (there is a server); ErrClosed (the Service); ErrCorrupt; ErrFault; fs.PathError.
func (s *Service) JoinServer() (*Server, error) {
	unpin, err := s.pin()
	if err != nil {
		return nil, fmt.Errorf("shmring: %w", closedOr(err))
	}
	v := &Server{
		s: s, unpin: unpin, clock: newClock(), turn: make(chan struct{}, 1),
		open: make([]atomic.Uint64, len(s.calls)), bufs: make([][]byte, len(s.calls)),
	}
	if err := guarded(v.join); err != nil {
		unpin()
		return nil, err
	}
	return v, nil
}

func (v *Server) join() (err error) {
	s := v.s
	if v.life, err = s.lifeline(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			v.life.Close() // which frees the role, too
		}
	}()
	was, dead := s.dead(v.life, serverRole)
	if vacant(was) || dead {
		v.ticket, err = s.take(v.life, serverRole, was)
	}
	switch {
	case err != nil:
		return err
	case v.ticket == 0:
		return fmt.Errorf("shmring: %w: there is a server already", ErrBusy)
	}
	v.wait.start(&s.header.serverSleeps, s.spin, pauseLeast)
	v.resume()
	return nil
}

// resume finishes the calls that the previous server left. It wakes callers, which now have
// a process whose death they must notice.
func (v *Server) resume() {
	s := v.s
	for slot := range s.calls {
		k := &s.calls[slot]
		switch w := k.state.Load(); w & callMask {
		case callRequested:
			s.header.pending.Or(uint64(1) << (slot / s.limits.Calls))
		case callServed, callAbandoned:
			v.finish(slot, to(w, callServed), nil, replyDied)
		}
	}
	for i := range s.desks {
		s.desks[i].wake()
	}
}

// A Request waits for its Reply, which any goroutine may give, in any order.
type Request struct {
	// Data is a copy of what the client sent. It is valid until Reply.
	Data []byte

	server   *Server
	slot     int
	word     uint64 // the call's state word
	deadline int64
}

// Receive takes the next request, from each client in turn. It blocks until there is one:
// it spins, then sleeps, as Consumer.Receive does. If ctx is done, it returns an error that
// unwraps to ctx.Err(), even if there is a request. It passes over requests that were given
// up or whose deadline has passed.
//
// Each request must be answered by Reply: until then, its client has one call less.
//
// Errors: ErrClosed; ErrFault.
func (v *Server) Receive(ctx context.Context) (r Request, err error) {
	if err := ctx.Err(); err != nil {
		return Request{}, err
	}
	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return Request{}, ctx.Err()
	}
	defer func() { <-v.turn }()
	err = guarded(func() error {
		take := func() (ok bool, err error) {
			if err := v.checkOpen(); err != nil {
				return false, err
			}
			r, ok = v.take()
			return ok, nil
		}
		if ok, err := take(); ok || err != nil {
			return err
		}
		// A client that dies before it wakes the server leaves nothing to do.
		return v.wait.wait(ctx, take, func() (time.Duration, error) { return restTick, nil })
	})
	return r, err
}

// TryReceive is Receive without blocking. ok reports whether there was a request. While
// another goroutine is in Receive, requests are left to it, and ok is false.
func (v *Server) TryReceive() (r Request, ok bool, err error) {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	default:
		return Request{}, false, v.checkOpen()
	}
	if err := v.checkOpen(); err != nil {
		return Request{}, false, err
	}
	err = guarded(func() error { r, ok = v.take(); return nil })
	return r, ok, err
}

func (v *Server) checkOpen() error {
	if v.closed.Load() {
		return fmt.Errorf("shmring: %w: server", ErrClosed)
	}
	return nil
}

func (v *Server) source() source { return v }

// enter keeps Close from returning.
func (v *Server) enter() bool {
	switch {
	case !v.using.TryRLock():
		return false
	case v.closed.Load():
		v.using.RUnlock()
		return false
	}
	return true
}

// poll reports whether there is a request, without changing anything: the bits in pending
// belong to the goroutine that has the turn.
func (v *Server) poll() bool {
	if v.closed.Load() {
		return true
	}
	s := v.s
	for mask := s.header.pending.Load(); mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if i >= s.limits.Clients {
			break
		}
		for j := range s.limits.Calls {
			if s.calls[s.slot(i, j)].state.Load()&callMask == callRequested {
				return true
			}
		}
	}
	return false
}

// check finds nothing: see Receive.
func (v *Server) check() (tick time.Duration, ready bool) { return restTick, false }

func (v *Server) sleeper() *waiter { return &v.wait }

func (v *Server) exit() { v.using.RUnlock() }

// take takes a request, if there is one.
func (v *Server) take() (r Request, ok bool) {
	first := v.last + 1
	for mask := bits.RotateLeft64(v.s.header.pending.Load(), -first); mask != 0; mask &= mask - 1 {
		i := (bits.TrailingZeros64(mask) + first) % slotCount
		if i >= v.s.limits.Clients {
			continue
		}
		if r, ok := v.takeFrom(i); ok {
			v.last = i
			return r, true
		}
	}
	return Request{}, false
}

// takeFrom takes a request of client i. It clears the client's bit before it looks, so a
// request that comes later sets it again. If it sees another request, takeFrom sets the bit
// again itself.
func (v *Server) takeFrom(i int) (r Request, ok bool) {
	s, bit, first := v.s, uint64(1)<<i, v.next[i]
	s.header.pending.And(^bit)
	for n := range s.limits.Calls {
		j := (first + n) % s.limits.Calls
		slot := s.slot(i, j)
		w := s.calls[slot].state.Load()
		if w&callMask != callRequested {
			continue
		}
		if ok {
			s.header.pending.Or(bit)
			break
		}
		if r, ok = v.begin(slot, w); ok {
			v.next[i] = j + 1
		}
	}
	return r, ok
}

// begin takes the request with the state word w.
func (v *Server) begin(slot int, w uint64) (r Request, ok bool) {
	k, word := &v.s.calls[slot], to(w, callServed)
	if v.open[slot].Load() != 0 {
		return Request{}, false // the client has broken the state; its last request is in use
	}
	if !k.state.CompareAndSwap(w, word) {
		return Request{}, false // it was withdrawn
	}
	n, deadline := k.request.Load(), k.deadline.Load()
	switch {
	case n > uint64(v.s.limits.MaxMessage):
		v.finish(slot, word, nil, replyRefused)
		return Request{}, false
	case deadline != 0 && time.Now().After(v.clock.time(deadline)):
		v.finish(slot, word, nil, replyLate)
		return Request{}, false
	}
	v.bufs[slot] = append(v.bufs[slot][:0], v.s.message(slot)[:n]...)
	v.open[slot].Store(word)
	return Request{Data: v.bufs[slot], server: v, slot: slot, word: word, deadline: deadline}, true
}

// finish ends the call that was taken under the state word. If nobody waits for the reply
// any more, the call becomes free. The copy of the request may hold the reply, so it is in
// use until the reply is copied.
func (v *Server) finish(slot int, word uint64, reply []byte, status uint32) {
	s := v.s
	k := &s.calls[slot]
	waited := k.state.Load() == word
	if waited {
		copyCached(s.message(slot), reply)
		k.reply.Store(uint64(len(reply)))
		k.status.Store(status)
	}
	v.open[slot].Store(0)
	if !waited || !k.state.CompareAndSwap(word, to(word, callDone)) {
		k.state.CompareAndSwap(to(word, callAbandoned), to(word, callFree))
	}
	s.desks[slot/s.limits.Calls].wake()
}

// Deadline returns when the caller stops waiting. ok is false if the caller has no
// deadline.
func (r Request) Deadline() (t time.Time, ok bool) {
	if r.deadline == 0 {
		return time.Time{}, false
	}
	return r.server.clock.time(r.deadline), true
}

// Abandoned reports whether nobody waits for the reply any more: the caller gave up, its
// deadline has passed, its process has ended, or the request has been answered. It makes a
// system call.
func (r Request) Abandoned() (abandoned bool) {
	v := r.server
	v.using.RLock()
	defer v.using.RUnlock()
	if t, ok := r.Deadline(); v.closed.Load() || v.open[r.slot].Load() != r.word || ok && time.Now().After(t) {
		return true
	}
	err := guarded(func() error {
		_, dead := v.s.dead(v.life, r.slot/v.s.limits.Calls)
		abandoned = dead || v.s.calls[r.slot].state.Load() != r.word
		return nil
	})
	return abandoned || err != nil
}

// Reply answers the request: with a copy of reply or, if err is not nil, with the text of
// err, which Client.Call returns as a ServerError. A text that is too long is cut. Reply
// never blocks. It also succeeds if nobody waits for the reply any more.
//
// Errors: ErrTooLarge (reply; the request still needs an answer); ErrClosed (the Server is
// closed, or the request was answered before); ErrFault.
func (r Request) Reply(reply []byte, err error) error {
	v, most := r.server, r.server.s.limits.MaxMessage
	status := uint32(replyOK)
	if err != nil {
		text := err.Error()
		reply, status = []byte(text[:min(len(text), most)]), replyError
	}
	if len(reply) > most {
		return fmt.Errorf("shmring: %w: it has %d bytes, at most %d fit", ErrTooLarge, len(reply), most)
	}
	v.using.RLock()
	defer v.using.RUnlock()
	if v.closed.Load() || !v.open[r.slot].CompareAndSwap(r.word, to(r.word, callDone)) {
		return fmt.Errorf("shmring: %w: request", ErrClosed)
	}
	return guarded(func() error { v.finish(r.slot, r.word, reply, status); return nil })
}

// A Handler returns the reply to a request. ctx ends at the deadline of the caller. The
// request is valid until the Handler returns.
type Handler func(ctx context.Context, request []byte) (reply []byte, err error)

// Serve answers requests, one after another, until ctx is done or the Server is closed. To
// answer several at a time, call it in several goroutines. If handle panics, or its reply is
// longer than MaxMessage, the caller gets a ServerError.
//
// Errors: those of Receive.
func (v *Server) Serve(ctx context.Context, handle Handler) error {
	for {
		r, err := v.Receive(ctx)
		if err != nil {
			return err
		}
		if err := r.serve(ctx, handle); err != nil {
			return err
		}
	}
}

// serve answers one request.
func (r Request) serve(ctx context.Context, handle Handler) error {
	returned := false
	defer func() {
		if !returned {
			_ = r.Reply(nil, errors.New("the handler of the request panicked"))
		}
	}()
	if t, ok := r.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, t)
		defer cancel()
	}
	reply, err := handle(ctx, r.Data)
	returned = true
	err = r.Reply(reply, err)
	if errors.Is(err, ErrTooLarge) {
		err = r.Reply(nil, err)
	}
	return err
}

// Close leaves the service. Callers whose requests were taken and not answered get
// ErrClosed. Close does not wait for handlers. Another server may join later. A second
// Close returns ErrClosed.
func (v *Server) Close() error {
	if v.closed.Swap(true) {
		return fmt.Errorf("shmring: %w: server", ErrClosed)
	}
	s := v.s
	err := guarded(func() error { wake(&s.header.serverSleeps); return nil })
	v.turn <- struct{}{} // until Receive has returned
	defer func() { <-v.turn }()
	v.using.Lock()
	defer v.using.Unlock()
	err = errors.Join(err, guarded(func() error {
		for slot := range v.open {
			if word := v.open[slot].Load(); word != 0 {
				v.finish(slot, word, nil, replyClosed)
			}
		}
		s.leave(v.life, serverRole, v.ticket)
		for i := range s.desks {
			s.desks[i].wake()
		}
		return nil
	}))
	v.life.Close()
	v.unpin()
	return err
}
