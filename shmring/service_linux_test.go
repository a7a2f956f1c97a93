package shmring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// newService makes a service in memory of its own.
func newService(t testing.TB, l shmring.ServiceLimits) (*shmring.Service, *os.File) {
	t.Helper()
	_, f := shared(t, shmring.ServiceSize(l))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	s, err := shmring.CreateServiceIn(m, l)
	noError(t, err)
	t.Cleanup(func() { _ = errors.Join(s.Close(), m.Unmap()) })
	return s, f
}

func joinClient(t testing.TB, s *shmring.Service) *shmring.Client {
	t.Helper()
	c, err := s.JoinClient()
	noError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func joinServer(t testing.TB, s *shmring.Service) *shmring.Server {
	t.Helper()
	v, err := s.JoinServer()
	noError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// serving answers requests until the end of the test, in n goroutines.
func serving(t testing.TB, s *shmring.Service, n int, handle shmring.Handler) *shmring.Server {
	t.Helper()
	v := joinServer(t, s)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := v.Serve(context.Background(), handle); !errors.Is(err, shmring.ErrClosed) {
				t.Errorf("Serve = %v", err)
			}
		})
	}
	t.Cleanup(func() { _ = v.Close(); wg.Wait() })
	return v
}

func echo(_ context.Context, request []byte) ([]byte, error) { return request, nil }

// calling starts a Call in a goroutine.
func calling(ctx context.Context, c *shmring.Client, request string) <-chan error {
	done := make(chan error, 1)
	go func() {
		reply, err := c.Call(ctx, []byte(request))
		if err == nil && string(reply) != "re: "+request {
			err = fmt.Errorf("reply %q to %q", reply, request)
		}
		done <- err
	}()
	return done
}

// receive takes the next request, and checks its text.
func receive(t testing.TB, v *shmring.Server, want string) shmring.Request {
	t.Helper()
	r, err := v.Receive(background(t))
	noError(t, err)
	if string(r.Data) != want {
		t.Fatalf("received %q, want %q", r.Data, want)
	}
	return r
}

func answer(t testing.TB, r shmring.Request) {
	t.Helper()
	noError(t, r.Reply(append([]byte("re: "), r.Data...), nil))
}

func wantError(t testing.TB, what string, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("%s: error %v, want %v", what, err, w)
		}
	}
}

func TestService(t *testing.T) {
	ctx := background(t)
	s, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{MaxMessage: 1000}, nil)
	noError(t, err)
	most := s.Limits().MaxMessage
	if want := (shmring.ServiceLimits{MaxMessage: 1024, Clients: 64, Calls: 16}); s.Limits() != want {
		t.Errorf("limits %+v, want %+v", s.Limits(), want)
	}
	failed := errors.New("no such price")
	v := serving(t, s, 1, func(_ context.Context, request []byte) ([]byte, error) {
		switch string(request) {
		case "fail":
			return request, failed
		case "fail at length":
			return nil, errors.New(strings.Repeat("x", 2*most))
		case "too large":
			return make([]byte, most+1), nil
		}
		return request, nil
	})
	again, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{}, nil) // as another process would
	noError(t, err)
	c := joinClient(t, again)
	for n := range most + 1 {
		request := make([]byte, n)
		fill(request, uint64(n))
		if reply, err := c.Call(ctx, request); !bytes.Equal(reply, request) || err != nil {
			t.Fatalf("the reply to %d bytes has %d, %v", n, len(reply), err)
		}
	}
	for request, want := range map[string]string{
		"fail":           failed.Error(),
		"fail at length": strings.Repeat("x", most),
		"too large":      "shmring: message is too large: it has 1025 bytes, at most 1024 fit",
	} {
		var text shmring.ServerError
		if _, err := c.Call(ctx, []byte(request)); !errors.As(err, &text) || err.Error() != want {
			t.Errorf("%s: error %v, want %s", request, err, want)
		}
	}
	_, err = c.Call(ctx, make([]byte, most+1))
	wantError(t, "a large request", err, shmring.ErrTooLarge)
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = c.Call(done, nil)
	wantError(t, "Call with a done context", err, context.Canceled)
	wantError(t, "Remove", s.Remove(), shmring.ErrBusy)
	noError(t, errors.Join(c.Close(), again.Close(), v.Close(), s.Remove(), s.Close()))
	wantError(t, "a second Close", errors.Join(v.Close(), c.Close()), shmring.ErrClosed)
	_, err = c.Call(ctx, nil)
	wantError(t, "Call after Close", err, shmring.ErrClosed)
	_, err = v.Receive(ctx)
	wantError(t, "Receive after Close", err, shmring.ErrClosed)
}

// TestServiceTogether runs several goroutines in each of several clients, and in the
// server. Each caller gets the reply to its own request.
func TestServiceTogether(t *testing.T) {
	ctx := background(t)
	s, _ := newService(t, shmring.ServiceLimits{MaxMessage: 2000, Calls: 3})
	serving(t, s, 3, echo)
	var all sync.WaitGroup
	for i := range 4 {
		c := joinClient(t, s)
		for j := range 5 { // more goroutines than calls
			all.Go(func() {
				for n := range uint64(300) {
					request := message(n<<8 | uint64(i<<4|j))
					if reply, err := c.Call(ctx, request); !bytes.Equal(reply, request) || err != nil {
						t.Errorf("call %d of %d in client %d: another reply, %v", n, j, i, err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}

// TestServiceTurns keeps more requests waiting than the server takes. Each client, and each
// call of a client, has its turn.
func TestServiceTurns(t *testing.T) {
	ctx := background(t)
	s, _ := newService(t, shmring.ServiceLimits{Calls: 3})
	const clients, calls = 3, 3
	taken := make(map[string]int)
	var callers sync.WaitGroup
	life, stop := context.WithCancel(ctx)
	for i := range clients {
		c := joinClient(t, s)
		for range calls {
			callers.Go(func() {
				for life.Err() == nil {
					_, _ = c.Call(life, []byte{byte(i)})
				}
			})
		}
	}
	v := joinServer(t, s)
	all, err := s.Callers()
	if noError(t, err); len(all) != clients || all[0].PID != os.Getpid() || !all[0].Alive {
		t.Errorf("Callers = %+v", all)
	}
	for range 30 {
		waiting := func() bool {
			all, err := s.Callers()
			noError(t, err)
			sum := 0
			for _, c := range all {
				sum += c.Calls
			}
			return sum == clients*calls
		}
		if !eventually(waiting) {
			t.Fatal("not all calls are waiting")
		}
		r, err := v.Receive(ctx)
		noError(t, err)
		taken[string(r.Data)]++
		noError(t, r.Reply(nil, nil))
	}
	stop()
	noError(t, v.Close())
	callers.Wait()
	for i := range clients {
		if n := taken[string(byte(i))]; n != 10 {
			t.Errorf("client %d had %d turns of 30", i, n)
		}
	}
}

// TestServiceBurst lets several requests wait before the server joins. The server takes all
// of them, although no client sends another request.
func TestServiceBurst(t *testing.T) {
	ctx := background(t)
	for burst := 1; burst <= 16; burst++ {
		s, _ := newService(t, shmring.ServiceLimits{})
		c := joinClient(t, s)
		var callers sync.WaitGroup
		for range burst {
			callers.Go(func() {
				if _, err := c.Call(ctx, nil); err != nil {
					t.Error(err)
				}
			})
		}
		waiting := func() bool {
			all, err := s.Callers()
			return err == nil && all[0].Calls == burst
		}
		if !eventually(waiting) {
			t.Fatal("not all calls are waiting")
		}
		v := joinServer(t, s)
		for range burst {
			answer(t, receive(t, v, ""))
		}
		callers.Wait()
	}
}

// TestServiceLate sends replies too late, and out of order. No caller gets the reply to
// another request.
func TestServiceLate(t *testing.T) {
	ctx := background(t)
	s, _ := newService(t, shmring.ServiceLimits{Calls: 2})
	v, c := joinServer(t, s), joinClient(t, s)
	brief, cancel := context.WithCancel(ctx)
	late := calling(brief, c, "late")
	r := receive(t, v, "late")
	if _, ok := r.Deadline(); !ok || r.Abandoned() {
		t.Error("the request has no deadline, or is given up")
	}
	cancel()
	wantError(t, "the caller that gave up", <-late, context.Canceled)
	if !r.Abandoned() {
		t.Error("the request is not given up")
	}
	for range 3 { // in the client's other call
		next := calling(ctx, c, "next")
		answer(t, receive(t, v, "next"))
		noError(t, <-next)
	}
	second := calling(ctx, c, "second")
	other := receive(t, v, "second")
	third := calling(ctx, c, "third") // waits until the late request is answered
	answer(t, r)
	if err := r.Reply(nil, nil); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("a second reply: %v, want ErrClosed", err)
	}
	answer(t, receive(t, v, "third"))
	answer(t, other)
	noError(t, errors.Join(<-second, <-third))

	// The server does not receive a request that was withdrawn before it took it.
	brief, cancel = context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err := c.Call(brief, []byte("withdrawn"))
	wantError(t, "the caller that withdrew", err, context.DeadlineExceeded)
	next := calling(ctx, c, "next")
	answer(t, receive(t, v, "next"))
	noError(t, <-next)
}

// TestServiceNoServer makes calls while there is no server.
func TestServiceNoServer(t *testing.T) {
	ctx := background(t)
	s, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{}, nil)
	noError(t, err)
	patient, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{}, &shmring.NamedOptions{Outlive: true})
	noError(t, err)
	c, p := joinClient(t, s), joinClient(t, patient)
	brief, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = c.Call(brief, nil)
	wantError(t, "Call before there was a server", err, shmring.ErrNoServer, context.DeadlineExceeded)

	early := calling(ctx, c, "early")
	v := joinServer(t, s)
	if alive, err := s.Served(); !alive || err != nil {
		t.Errorf("Served = %v, %v", alive, err)
	}
	_, err = s.JoinServer()
	wantError(t, "a second server", err, shmring.ErrBusy)
	answer(t, receive(t, v, "early"))
	noError(t, <-early)

	// One request is being served when the server closes, two are not.
	taken := calling(ctx, c, "taken")
	r := receive(t, v, "taken")
	waiting, next := calling(ctx, c, "waiting"), calling(ctx, p, "next")
	pending := func() bool {
		all, err := s.Callers()
		return err == nil && all[0].Calls == 2 && all[1].Calls == 1
	}
	if !eventually(pending) {
		t.Fatal("the requests are not waiting")
	}
	noError(t, v.Close())
	wantError(t, "a request that was being served", <-taken, shmring.ErrClosed)
	wantError(t, "a request that was waiting", <-waiting, shmring.ErrNoServer)
	wantError(t, "Reply after Close", r.Reply(nil, nil), shmring.ErrClosed)
	if !r.Abandoned() {
		t.Error("the server is closed, and the request not given up")
	}
	_, err = c.Call(ctx, nil)
	wantError(t, "Call after the server closed", err, shmring.ErrNoServer)

	v = joinServer(t, s)
	answer(t, receive(t, v, "next"))
	noError(t, <-next)
	noError(t, errors.Join(v.Close(), c.Close(), p.Close(), patient.Close(), s.Remove(), s.Close()))
}

// TestServiceClose closes handles that are in use.
func TestServiceClose(t *testing.T) {
	ctx := background(t)
	s, _ := newService(t, shmring.ServiceLimits{Calls: 1})
	v, c := joinServer(t, s), joinClient(t, s)
	served := calling(ctx, c, "served")
	r := receive(t, v, "served")
	turn := calling(ctx, c, "waits for its turn")
	receiving := make(chan error)
	go func() {
		_, err := v.Receive(ctx)
		receiving <- err
	}()
	noError(t, c.Close())
	wantError(t, "a call", <-served, shmring.ErrClosed)
	wantError(t, "a call", <-turn, shmring.ErrClosed)
	answer(t, r)
	noError(t, v.Close())
	wantError(t, "Receive", <-receiving, shmring.ErrClosed)
}

// TestServicePanic uses a handler that panics. The caller gets a ServerError.
func TestServicePanic(t *testing.T) {
	ctx := background(t)
	s, _ := newService(t, shmring.ServiceLimits{})
	v := joinServer(t, s)
	recovered := make(chan any)
	go func() {
		defer func() { recovered <- recover() }()
		_ = v.Serve(ctx, func(context.Context, []byte) ([]byte, error) { panic("oops") })
	}()
	var text shmring.ServerError
	if _, err := joinClient(t, s).Call(ctx, nil); !errors.As(err, &text) {
		t.Errorf("Call = %v, want a ServerError", err)
	}
	if r := <-recovered; r != "oops" {
		t.Errorf("recovered %v", r)
	}
}

// TestServiceFull joins as many clients as there can be.
func TestServiceFull(t *testing.T) {
	s, _ := newService(t, shmring.ServiceLimits{MaxMessage: 64, Calls: 1})
	var all []*shmring.Client
	for range 64 {
		all = append(all, joinClient(t, s))
	}
	_, err := s.JoinClient()
	wantError(t, "the 65th client", err, shmring.ErrBusy)
	serving(t, s, 1, echo)
	for _, c := range all {
		if reply, err := c.Call(background(t), []byte("hello")); string(reply) != "hello" || err != nil {
			t.Errorf("Call = %q, %v", reply, err)
		}
	}
	noError(t, all[17].Close())
	joinClient(t, s)
}

// TestServiceNoMemory joins clients until /dev/shm is full. A client for which there is no
// memory cannot join. Clients that have joined need no more memory.
func TestServiceNoMemory(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it ignores MADV_POPULATE_WRITE")
	ipctest.MountShm(t, 1<<20)
	ctx := background(t)
	s, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{MaxMessage: 128 << 10, Calls: 1}, nil)
	noError(t, err)
	v := serving(t, s, 1, func(context.Context, []byte) ([]byte, error) { return make([]byte, 128<<10), nil })
	var all []*shmring.Client
	for {
		c, err := s.JoinClient()
		if err != nil {
			wantError(t, "JoinClient", err, shmring.ErrFault)
			break
		}
		all = append(all, c)
	}
	if len(all) < 5 || len(all) > 8 {
		t.Errorf("%d clients have memory in 1 MiB", len(all))
	}
	for _, c := range all {
		if reply, err := c.Call(ctx, nil); len(reply) != 128<<10 || err != nil {
			t.Errorf("a reply of %d bytes, %v", len(reply), err)
		}
		noError(t, c.Close())
	}
	noError(t, errors.Join(v.Close(), s.Remove(), s.Close()))
}

// TestServiceMismatch opens services with other limits, and objects of another kind.
func TestServiceMismatch(t *testing.T) {
	ctx := background(t)
	s, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{Clients: 2}, nil)
	noError(t, err)
	for _, l := range []shmring.ServiceLimits{{MaxMessage: 64}, {Clients: 3}, {Calls: 1}} {
		_, err := shmring.OpenOrCreateService(ctx, "/service", l, nil)
		wantError(t, fmt.Sprintf("%+v", l), err, shmring.ErrMismatch)
	}
	for _, l := range []shmring.ServiceLimits{{MaxMessage: -1}, {MaxMessage: math.MaxInt}, {Clients: 65}, {Calls: 65}, {Calls: -1}} {
		_, err := shmring.OpenOrCreateService(ctx, "/service", l, nil)
		wantError(t, fmt.Sprintf("%+v", l), err, shmring.ErrSize)
	}
	_, err = shmring.OpenOrCreate(ctx, "/service", nil)
	wantError(t, "as a ring", err, shmring.ErrNotRing)
	if _, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{}, &shmring.NamedOptions{Capacity: 4096}); err == nil {
		t.Error("a service has a capacity")
	}
	noError(t, errors.Join(s.Remove(), s.Close()))
	ring, err := shmring.OpenOrCreate(ctx, "/service", nil)
	noError(t, err)
	_, err = shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{}, nil)
	wantError(t, "a ring", err, shmring.ErrNotRing)
	noError(t, errors.Join(ring.Remove(), ring.Close()))
	if _, err := os.Stat("/dev/shm/service"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the object is still there: %v", err)
	}
}

// TestServiceUnnamed hands over a service without a name.
func TestServiceUnnamed(t *testing.T) {
	s, err := shmring.CreateUnnamedService("prices", shmring.ServiceLimits{MaxMessage: 64}, nil)
	noError(t, err)
	again, err := shmring.OpenUnnamedService(s.Object())
	noError(t, err)
	v := serving(t, again, 1, echo)
	c := joinClient(t, s)
	if reply, err := c.Call(background(t), []byte("hello")); string(reply) != "hello" || err != nil || s.ID() != again.ID() {
		t.Errorf("Call = %q, %v", reply, err)
	}
	noError(t, errors.Join(v.Close(), c.Close(), s.Close(), again.Close()))
}

// TestServiceTruncated truncates the memory. Every call fails.
func TestServiceTruncated(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "a SIGBUS comes without its address")
	s, f := newService(t, shmring.ServiceLimits{})
	v, c := joinServer(t, s), joinClient(t, s)
	call := calling(background(t), c, "hello")
	r := receive(t, v, "hello")
	noError(t, f.Truncate(0))
	wantError(t, "Reply", r.Reply([]byte("x"), nil), shmring.ErrFault)
	wantError(t, "a Call in progress", <-call, shmring.ErrFault)
	_, err := c.Call(background(t), nil)
	wantError(t, "Call", err, shmring.ErrFault)
	_, err = v.Receive(background(t))
	wantError(t, "Receive", err, shmring.ErrFault)
	_, err = s.Callers()
	wantError(t, "Callers", err, shmring.ErrFault)
	_, err = s.JoinClient()
	wantError(t, "JoinClient", err, shmring.ErrFault)
	_, err = s.JoinServer()
	wantError(t, "JoinServer", err, shmring.ErrFault)
	wantError(t, "Close", v.Close(), shmring.ErrFault)
	wantError(t, "Close", c.Close(), shmring.ErrFault)
}
