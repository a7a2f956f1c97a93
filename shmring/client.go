package shmring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
)

// A Client sends requests to the server of a Service. Several goroutines may use it at a
// time: up to ServiceLimits.Calls of them wait for replies, and the others wait for their
// turn. Only one of them occupies a thread.
type Client struct {
	s      *Service
	index  int
	unpin  func()
	life   line
	ticket uint64
	clock  clock

	// One goroutine at a time watches the memory, and notifies the others.
	turn  chan struct{} // held by the goroutine that watches
	wait  waiter
	vigil vigil           // during a long wait
	told  []chan struct{} // of each call: its state may have changed
	freed chan struct{}   // a call may be free

	busy    atomic.Uint64 // bit j: a goroutine uses call j
	wanting atomic.Int32  // goroutines that wait for a free call
	using   sync.RWMutex  // held shared during a Call
	closed  atomic.Bool
}

// JoinClient joins the service as a client, and takes the memory for its messages. Errors:
// ErrBusy (ServiceLimits.Clients clients have joined); ErrClosed (the Service); ErrCorrupt;
// ErrFault (also: there is not enough memory); fs.PathError.
func (s *Service) JoinClient() (*Client, error) {
	unpin, err := s.pin()
	if err != nil {
		return nil, fmt.Errorf("shmring: %w", closedOr(err))
	}
	c := &Client{
		s: s, unpin: unpin, clock: newClock(),
		turn: make(chan struct{}, 1), told: make([]chan struct{}, s.limits.Calls), freed: make(chan struct{}, 1),
	}
	if err := guarded(c.join); err != nil {
		unpin()
		return nil, err
	}
	return c, nil
}

func (c *Client) join() (err error) {
	s := c.s
	if c.life, err = s.lifeline(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.life.Close() // which frees the role, too
		}
	}()
	if c.index, c.ticket, err = s.enlist(c.life); err != nil {
		return err
	}
	for j := range c.told {
		c.told[j] = make(chan struct{}, 1)
		c.call(j).inherit()
	}
	c.wait.start(&c.desk().sleeps, s.spin, pauseLeast)
	n := s.limits.Calls * s.limits.MaxMessage
	if err := memory.Populate(s.data[c.index*n : (c.index+1)*n]); err != nil {
		s.leave(c.life, c.index, c.ticket)
		return err
	}
	return nil
}

// enlist takes a client's role: a free one, or one whose process is dead.
func (s *Service) enlist(l line) (index int, ticket uint64, err error) {
	for i := range s.limits.Clients {
		if s.members[i].ticket.Load() == nobody {
			if ticket, err := s.take(l, i, nobody); ticket != 0 || err != nil {
				return i, ticket, err
			}
		}
	}
	for i := range s.limits.Clients {
		if was, dead := s.dead(l, i); dead {
			if ticket, err := s.take(l, i, was); ticket != 0 || err != nil {
				return i, ticket, err
			}
		}
	}
	return 0, 0, fmt.Errorf("shmring: %w: %d clients have joined, which is the most", ErrBusy, s.limits.Clients)
}

// inherit gives up the request or reply that the previous client of the role left in a
// call.
func (k *call) inherit() {
	for range attempts {
		w := k.state.Load()
		next := uint64(callFree)
		switch w & callMask {
		case callFree, callAbandoned:
			return
		case callServed:
			next = callAbandoned
		}
		if k.state.CompareAndSwap(w, to(w, next)) {
			return
		}
	}
}

// call returns call j of the client.
func (c *Client) call(j int) *call { return &c.s.calls[c.s.slot(c.index, j)] }

func (c *Client) desk() *desk { return &c.s.desks[c.index] }

// Call sends a request to the server, and returns the reply, which belongs to the caller.
// It blocks until the server has answered: it spins, then sleeps, as Consumer.Receive does.
// If ctx is done, it returns an error that unwraps to ctx.Err(); a reply that comes later is
// thrown away. The server learns the deadline of ctx; for this, server and client must be
// in the same time namespace.
//
// A request is served at most once. If there is an error, only ErrNoServer and ErrTooLarge
// mean that it was not served.
//
// Errors: a ServerError (the server answered with an error); ErrNoServer (the server has
// closed or died, and no server has taken the request; if ctx is done, also: there was no
// server to take it); ErrPeerDied (the process of the server ended while it served the
// request, which is noticed within 0.5 s); ErrClosed (this client is closed, or the server
// closed without an answer); ErrTooLarge; ErrCorrupt; ErrFault. With NamedOptions.Outlive,
// a request that no server has taken waits for the next server.
func (c *Client) Call(ctx context.Context, request []byte) (reply []byte, err error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(request) > c.s.limits.MaxMessage:
		return nil, fmt.Errorf("shmring: %w: it has %d bytes, at most %d fit", ErrTooLarge, len(request), c.s.limits.MaxMessage)
	}
	c.using.RLock()
	defer c.using.RUnlock()
	err = guarded(func() (err error) {
		reply, err = c.exchange(ctx, request)
		return err
	})
	return reply, err
}

func (c *Client) exchange(ctx context.Context, request []byte) ([]byte, error) {
	j, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer c.release(j)
	w := c.send(ctx, j, request)
	if err := c.await(ctx, j, w); err != nil {
		return nil, err
	}
	return c.fetch(j, w)
}

// acquire blocks until one of the client's calls is free.
func (c *Client) acquire(ctx context.Context) (j int, err error) {
	free := func() (ok bool, err error) {
		switch {
		case c.closed.Load():
			return false, fmt.Errorf("shmring: %w: client", ErrClosed)
		case c.s.unserved():
			return false, fmt.Errorf("shmring: %w", ErrNoServer)
		}
		j, ok = c.vacancy()
		return ok, nil
	}
	if ok, err := free(); ok || err != nil {
		return j, err
	}
	c.wanting.Add(1)
	defer func() {
		c.wanting.Add(-1)
		c.offer() // another call may be free
	}()
	for {
		if ok, err := free(); ok || err != nil {
			return j, err
		}
		select {
		case c.turn <- struct{}{}:
			err = c.watch(ctx, 0, free, c.reclaim)
			return j, err
		case <-c.freed:
			if ok, err := free(); ok || err != nil {
				return j, err
			}
			if err := c.reclaim(); err != nil {
				return 0, err
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// vacancy takes a call that is free.
func (c *Client) vacancy() (j int, ok bool) {
	for j := range c.told {
		bit := uint64(1) << j
		state := &c.call(j).state
		if state.Load()&callMask != callFree || c.busy.Or(bit)&bit != 0 {
			continue
		}
		if state.Load()&callMask == callFree { // another goroutine may have used it meanwhile
			return j, true
		}
		c.busy.And(^bit)
	}
	return 0, false
}

// reclaim frees calls that a dead server has taken and nobody waits for. It loads their
// states first: a server that joined after that has changed them.
func (c *Client) reclaim() error {
	var states [maxCalls]uint64
	for j := range c.told {
		states[j] = c.call(j).state.Load()
	}
	if _, dead := c.s.dead(c.life, serverRole); !dead {
		return nil
	}
	if !c.s.outlive {
		return fmt.Errorf("shmring: %w", ErrNoServer)
	}
	for j := range c.told {
		if w := states[j]; w&callMask == callAbandoned {
			c.call(j).state.CompareAndSwap(w, to(w, callFree))
		}
	}
	return nil
}

// release gives a call back.
func (c *Client) release(j int) {
	c.busy.And(^(uint64(1) << j))
	c.offer()
}

// offer notifies goroutines that wait for a free call, if there are any.
func (c *Client) offer() {
	if c.wanting.Load() > 0 {
		nudge(c.freed)
		c.desk().wake() // the goroutine that watches may want the call, too
	}
}

// nudge makes the goroutine that receives from told look again.
func nudge(told chan<- struct{}) {
	select {
	case told <- struct{}{}:
	default:
	}
}

// send publishes a request in a call that is free, and returns its state word.
func (c *Client) send(ctx context.Context, j int, request []byte) (w uint64) {
	k, h := c.call(j), c.s.header
	copyCached(c.s.message(c.s.slot(c.index, j)), request)
	k.request.Store(uint64(len(request)))
	k.deadline.Store(c.clock.deadline(ctx))
	w = to(k.state.Load()+callMask+1, callRequested)
	k.state.Store(w)
	h.pending.Or(uint64(1) << c.index)
	if anyAsleep(&h.serverSleeps) {
		wake(&h.serverSleeps)
	}
	return w
}

// await blocks until the request whose state word was w has a reply.
func (c *Client) await(ctx context.Context, j int, w uint64) error {
	k := c.call(j)
	answered := func() (bool, error) { return c.answered(k, w) }
	bereft := func() error { return c.bereft(k, w) }
	select {
	case <-c.told[j]: // that was for the previous caller
	default:
	}
	for {
		ok, err := answered()
		if !ok && err == nil {
			select {
			case c.turn <- struct{}{}:
				err = c.watch(ctx, uint64(1)<<j, answered, bereft)
				ok = err == nil
			case <-c.told[j]:
				if ok, err = answered(); !ok && err == nil {
					err = bereft()
				}
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		switch {
		case err != nil:
			return c.giveUp(k, w, err)
		case ok:
			return nil
		}
	}
}

// watch waits until ready succeeds or fails, or until the server is dead and bereft fails.
// Meanwhile it notifies the goroutines of all calls but own. The caller holds the turn,
// which watch gives back.
func (c *Client) watch(ctx context.Context, own uint64, ready func() (bool, error), bereft func() error) error {
	defer func() { <-c.turn }()
	defer c.vigil.end()
	try := func() (bool, error) {
		c.tell(own)
		return ready()
	}
	return c.wait.wait(ctx, try, func() (time.Duration, error) {
		// Start the vigil before checking, so that a process that ends in between is noticed.
		pids, all := c.s.watchable(c.s.members[serverRole:])
		next := c.vigil.tick(pids, all, c.wait.alarm)
		if _, dead := c.s.dead(c.life, serverRole); !dead {
			return next, nil
		}
		c.tellAll()
		return next, bereft()
	})
}

// tell notifies the goroutines whose calls are done and, if a call is free, one that waits
// for it.
func (c *Client) tell(own uint64) {
	for mask := c.busy.Load() &^ own; mask != 0; mask &= mask - 1 {
		j := bits.TrailingZeros64(mask)
		if c.call(j).state.Load()&callMask == callDone {
			nudge(c.told[j])
		}
	}
	if c.wanting.Load() == 0 {
		return
	}
	for mask := ^c.busy.Load() & (1<<len(c.told) - 1); mask != 0; mask &= mask - 1 {
		if c.call(bits.TrailingZeros64(mask)).state.Load()&callMask == callFree {
			nudge(c.freed)
			return
		}
	}
}

// tellAll tells all goroutines to look again.
func (c *Client) tellAll() {
	for _, told := range c.told {
		nudge(told)
	}
	nudge(c.freed)
}

// answered reports whether there is a reply.
func (c *Client) answered(k *call, w uint64) (bool, error) {
	now := k.state.Load()
	switch {
	case to(now, callRequested) != w || now&callMask > callAbandoned:
		return false, corrupt("state", now)
	case now&callMask == callDone:
		return true, nil
	case c.closed.Load():
		return false, fmt.Errorf("shmring: %w: client", ErrClosed)
	case now == w && c.s.unserved() && k.state.CompareAndSwap(w, to(w, callFree)):
		return false, fmt.Errorf("shmring: %w", ErrNoServer)
	}
	return false, nil
}

// bereft returns an error if the server is dead. A server that joined after the state was
// loaded has changed it.
func (c *Client) bereft(k *call, w uint64) error {
	now := k.state.Load()
	if _, dead := c.s.dead(c.life, serverRole); !dead {
		return nil
	}
	switch {
	case now == w && !c.s.outlive && k.state.CompareAndSwap(now, to(w, callFree)):
		return fmt.Errorf("shmring: %w", ErrNoServer)
	case now == to(w, callServed) && k.state.CompareAndSwap(now, to(w, callFree)):
		return fmt.Errorf("shmring: %w: server, process %d", ErrPeerDied, c.s.members[serverRole].pid.Load())
	}
	return nil
}

// giveUp ends a call for the reason err, or returns nil if a reply has come at the last
// moment.
func (c *Client) giveUp(k *call, w uint64, err error) error {
	switch {
	case k.state.CompareAndSwap(w, to(w, callFree)):
		if ticket, dead := c.s.dead(c.life, serverRole); dead || vacant(ticket) {
			return fmt.Errorf("shmring: %w: %w", ErrNoServer, err)
		}
	case k.state.CompareAndSwap(to(w, callServed), to(w, callAbandoned)):
	case k.state.Load() == to(w, callDone):
		return nil
	}
	return err
}

// fetch returns the reply, and frees the call.
func (c *Client) fetch(j int, w uint64) (reply []byte, err error) {
	k, slot := c.call(j), c.s.slot(c.index, j)
	n, status := k.reply.Load(), k.status.Load()
	switch {
	case n > uint64(c.s.limits.MaxMessage):
		err = corrupt("length of a reply", n)
	case status == replyOK:
		reply = bytes.Clone(c.s.message(slot)[:n])
	case status == replyError:
		err = ServerError(strings.ToValidUTF8(string(c.s.message(slot)[:n]), "?"))
	case status == replyClosed:
		err = fmt.Errorf("shmring: %w: server", ErrClosed)
	case status == replyDied:
		err = fmt.Errorf("shmring: %w: server", ErrPeerDied)
	case status == replyLate:
		err = context.DeadlineExceeded
	default:
		err = corrupt("status", uint64(status))
	}
	k.state.Store(to(w, callFree))
	return reply, err
}

// Close leaves the service. Calls of other goroutines return ErrClosed. A second Close
// returns ErrClosed.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return fmt.Errorf("shmring: %w: client", ErrClosed)
	}
	err := guarded(func() error {
		c.tellAll()
		c.desk().wake()
		return nil
	})
	c.using.Lock() // until they have returned
	defer c.using.Unlock()
	err = errors.Join(err, guarded(func() error { c.s.leave(c.life, c.index, c.ticket); return nil }))
	c.life.Close()
	c.unpin()
	return err
}

// A clock converts times to CLOCK_MONOTONIC, which processes share.
type clock struct {
	began time.Time
	at    int64 // what CLOCK_MONOTONIC showed then
}

func newClock() clock { return clock{time.Now(), monotonic()} }

// deadline returns the deadline of ctx, or 0 if there is none.
func (c clock) deadline(ctx context.Context) int64 {
	t, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(1, c.at+int64(min(t.Sub(c.began), 1<<62)))
}

func (c clock) time(deadline int64) time.Time {
	return c.began.Add(time.Duration(deadline - c.at))
}
