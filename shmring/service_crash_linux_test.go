package shmring

import (
	"context"
	"errors"
	"testing"
	"unsafe"

	"github.com/sysvipc/gipc/posix"
)

// TestServiceLayout compares offsets with docs/service.md.
func TestServiceLayout(t *testing.T) {
	var h serviceHeader
	var k call
	for name, at := range map[string][2]uintptr{
		"clients":       {unsafe.Offsetof(h.clients), 128},
		"calls":         {unsafe.Offsetof(h.calls), 132},
		"pending":       {unsafe.Offsetof(h.pending), 256},
		"server sleeps": {unsafe.Offsetof(h.serverSleeps), 384},
		"tickets":       {unsafe.Offsetof(h.tickets), 648},
		"members":       {unsafe.Offsetof(h.members), 1024},
		"first call":    {callsOffset, 12288},
		"state":         {unsafe.Offsetof(k.state), 0},
		"request":       {unsafe.Offsetof(k.request), 8},
		"deadline":      {unsafe.Offsetof(k.deadline), 16},
		"reply":         {unsafe.Offsetof(k.reply), 24},
		"status":        {unsafe.Offsetof(k.status), 32},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is at %d, want %d", name, at[0], at[1])
		}
	}
	l := ServiceLimits{MaxMessage: 64, Clients: 3, Calls: 5}
	if at, size := l.dataOffset(), ServiceSize(l); at != 16384 || size != 16384+15*64 {
		t.Errorf("the messages begin at %d of %d", at, size)
	}
}

func crashService(t *testing.T) *Service {
	t.Helper()
	l := ServiceLimits{MaxMessage: 64, Clients: 2, Calls: 2}
	m, err := posix.MapAnonymous(ServiceSize(l), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := CreateServiceIn(m, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(s.Close(), m.Unmap()) })
	return s
}

// serveEcho answers requests until the test ends.
func serveEcho(t *testing.T, s *Service) {
	t.Helper()
	v, err := s.JoinServer()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- v.Serve(context.Background(), func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	}()
	t.Cleanup(func() {
		_ = v.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

const earlier = 7 << 3 // the number of a request that a dead process has sent

// TestServiceClientCrash recreates what a client leaves if it dies in each state of its
// calls. The next client can use all of its calls.
func TestServiceClientCrash(t *testing.T) {
	for name, state := range map[string]uint64{
		"free": callFree, "requested": callRequested, "served": callServed, "done": callDone, "abandoned": callAbandoned,
	} {
		t.Run(name, func(t *testing.T) {
			s := crashService(t)
			for i := range 2 {
				s.members[i].ticket.Store(deadTicket)
			}
			for i := range s.calls {
				s.calls[i].state.Store(earlier | state)
			}
			serveEcho(t, s) // it finishes the calls that a dead server has left, too
			for range 2 {
				c, err := s.JoinClient()
				if err != nil {
					t.Fatal(err)
				}
				// Both calls are needed.
				c.busy.Store(1)
				for range 3 {
					if reply, err := c.Call(t.Context(), []byte("after")); string(reply) != "after" || err != nil {
						t.Errorf("Call = %q, %v", reply, err)
					}
					c.busy.Store(c.busy.Load() ^ 3)
				}
			}
			if _, err := s.JoinClient(); !errors.Is(err, ErrBusy) {
				t.Errorf("a third client: %v, want ErrBusy", err)
			}
		})
	}
}

// TestServiceInherit checks what a client does with the calls of its predecessor. It does
// not free a call that the server has taken, because the server may still write into it.
func TestServiceInherit(t *testing.T) {
	for state, want := range map[uint64]uint64{
		callFree: callFree, callRequested: callFree, callServed: callAbandoned, callDone: callFree, callAbandoned: callAbandoned,
		callMask: callFree,
	} {
		var k call
		k.state.Store(earlier | state)
		if k.inherit(); k.state.Load() != earlier|want {
			t.Errorf("state %d became %#x, want %d", state, k.state.Load(), want)
		}
	}
}

// TestServiceServerCrash recreates what a dead server leaves, with and without a successor.
func TestServiceServerCrash(t *testing.T) {
	for name, next := range map[string]bool{"alone": false, "successor": true} {
		t.Run(name, func(t *testing.T) {
			s := crashService(t)
			c, err := s.JoinClient()
			if err != nil {
				t.Fatal(err)
			}
			s.members[serverRole].ticket.Store(deadTicket)
			w := c.send(t.Context(), 0, []byte("request"))
			s.header.pending.Store(0) // the server had cleared the bit
			c.call(0).state.Store(to(w, callServed))
			c.call(1).state.Store(earlier | callAbandoned)
			if next {
				serveEcho(t, s)
			}
			if err := c.await(t.Context(), 0, w); err == nil {
				_, err = c.fetch(0, w)
				if !errors.Is(err, ErrPeerDied) {
					t.Errorf("fetch: %v, want ErrPeerDied", err)
				}
			} else if next || !errors.Is(err, ErrPeerDied) {
				t.Errorf("await: %v, want ErrPeerDied", err)
			}
			w = c.send(t.Context(), 0, []byte("waits"))
			if err := c.await(t.Context(), 0, w); next && err != nil || !next && !errors.Is(err, ErrNoServer) {
				t.Errorf("a request that was not taken: %v", err)
			}
			if !next {
				c.busy.Store(1) // the other call is the one left abandoned
				if _, err := c.Call(t.Context(), nil); !errors.Is(err, ErrNoServer) {
					t.Errorf("Call: %v, want ErrNoServer", err)
				}
			}
		})
	}
}

// TestServiceTaken leaves a request whose bit a server cleared before it died without
// taking it.
func TestServiceTaken(t *testing.T) {
	s := crashService(t)
	c, err := s.JoinClient()
	if err != nil {
		t.Fatal(err)
	}
	w := c.send(t.Context(), 1, []byte("request"))
	s.header.pending.Store(0)
	serveEcho(t, s)
	if err := c.await(t.Context(), 1, w); err != nil {
		t.Error(err)
	}
	if reply, err := c.fetch(1, w); string(reply) != "request" || err != nil {
		t.Errorf("fetch = %q, %v", reply, err)
	}
}

// TestServiceExpired sends a request whose deadline has passed, like a client that was
// stopped meanwhile.
func TestServiceExpired(t *testing.T) {
	s := crashService(t)
	c, err := s.JoinClient()
	if err != nil {
		t.Fatal(err)
	}
	w := c.send(t.Context(), 0, []byte("late"))
	c.call(0).deadline.Store(1)
	serveEcho(t, s)
	if err := c.await(t.Context(), 0, w); err != nil {
		t.Error(err)
	}
	if reply, err := c.fetch(0, w); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("fetch = %q, %v, want DeadlineExceeded", reply, err)
	}
}

// TestServiceCorrupt writes invalid words into the memory. The client gets ErrCorrupt.
func TestServiceCorrupt(t *testing.T) {
	for name, spoil := range map[string]func(k *call, w uint64){
		"state":             func(k *call, w uint64) { k.state.Store(w | callMask) },
		"number":            func(k *call, w uint64) { k.state.Store(to(w+8, callDone)) },
		"length of a reply": func(k *call, w uint64) { k.reply.Store(65); k.state.Store(to(w, callDone)) },
		"status":            func(k *call, w uint64) { k.status.Store(99); k.state.Store(to(w, callDone)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := crashService(t)
			c, err := s.JoinClient()
			if err != nil {
				t.Fatal(err)
			}
			w := c.send(t.Context(), 0, nil)
			spoil(c.call(0), w)
			if err = c.await(t.Context(), 0, w); err == nil {
				_, err = c.fetch(0, w)
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v, want ErrCorrupt", err)
			}
		})
	}
	t.Run("length of a request", func(t *testing.T) {
		s := crashService(t)
		c, err := s.JoinClient()
		if err != nil {
			t.Fatal(err)
		}
		w := c.send(t.Context(), 0, nil)
		c.call(0).request.Store(65)
		s.header.pending.Store(1<<64 - 1) // also for clients that do not exist
		serveEcho(t, s)
		err = c.await(t.Context(), 0, w)
		if err == nil {
			_, err = c.fetch(0, w)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v, want ErrCorrupt", err)
		}
	})
}

// TestServiceTwice sends another request in a call that is being served. The handler's copy
// of the request stays as it is.
func TestServiceTwice(t *testing.T) {
	s := crashService(t)
	c, err := s.JoinClient()
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.JoinServer()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	c.send(t.Context(), 0, []byte("first"))
	r, err := v.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.call(0).state.Store(r.word)
	c.send(t.Context(), 0, []byte("other"))
	if _, ok := v.take(); ok || string(r.Data) != "first" {
		t.Errorf("took another request into the copy %q", r.Data)
	}
	if err := r.Reply(nil, nil); err != nil {
		t.Error(err)
	}
}
