package shmring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// killLimits returns the limits of a service whose processes are killed.
func killLimits() shmring.ServiceLimits {
	return shmring.ServiceLimits{MaxMessage: 2048, Clients: 5, Calls: 2}
}

// doomedServer answers requests until it is killed, in two goroutines. A request begins with
// a number: the word of the ledger to which the server adds one. The reply is the rest,
// reversed.
func doomedServer([]string) error {
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	s, err := inherited(3, shmring.OpenServiceIn)
	if err != nil {
		return err
	}
	v, err := s.JoinServer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	handle := func(_ context.Context, request []byte) ([]byte, error) {
		book[binary.NativeEndian.Uint64(request)].Add(1)
		if rand.IntN(4) == 0 { // so that many servers are killed here
			time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		}
		return reversed(request[8:]), nil
	}
	done := make(chan error)
	for range 2 {
		go func() { done <- v.Serve(context.Background(), handle) }()
	}
	return <-done
}

func reversed(p []byte) []byte {
	r := make([]byte, len(p))
	for i := range p {
		r[len(p)-1-i] = p[i]
	}
	return r
}

// ask calls the server once, with request n. The server adds one to the word of the ledger.
func ask(ctx context.Context, c *shmring.Client, word, n uint64) error {
	body := message(n)
	reply, err := c.Call(ctx, append(binary.NativeEndian.AppendUint64(nil, word), body...))
	if err == nil && !bytes.Equal(reply, reversed(body)) {
		return fmt.Errorf("the reply to request %d is another one: %d bytes, want %d", n, len(reply), len(body))
	}
	return err
}

// doomedClient calls the server until it is killed, in three goroutines, some of which give
// up. It counts replies in word 0 of the ledger.
func doomedClient([]string) error {
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	s, err := inherited(3, shmring.OpenServiceIn)
	if err != nil {
		return err
	}
	c, err := s.JoinClient()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	done := make(chan error)
	for range 3 {
		go func() {
			for n := rand.Uint64(); ; n++ {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				if n%16 == 0 {
					time.AfterFunc(time.Duration(rand.IntN(100))*time.Microsecond, cancel)
				}
				err := ask(ctx, c, 1, n)
				cancel()
				switch {
				case err == nil:
					book[0].Add(1)
				case errors.Is(err, shmring.ErrPeerDied), errors.Is(err, shmring.ErrNoServer), ctx.Err() != nil:
				default:
					done <- err
					return
				}
			}
		}()
	}
	return <-done
}

// TestKilledService kills servers and clients at random moments. A living caller gets the
// reply to its own request, or an error that says that the server died. No request is
// served twice, and no request that failed with ErrNoServer was served.
func TestKilledService(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	s, f := newService(t, killLimits())
	mem, bookFile := shared(t, 4096)
	book := openLedger(mem)
	c := joinClient(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	var answered, died, none atomic.Uint64
	caller := func(word uint64) func() {
		return func() {
			for n := uint64(0); ctx.Err() == nil; n++ {
				before := book[word].Load()
				err := ask(ctx, c, word, n)
				times := book[word].Load() - before
				switch {
				case err == nil && times == 1:
					answered.Add(1)
				case errors.Is(err, shmring.ErrPeerDied) && times <= 1:
					died.Add(1)
				case errors.Is(err, shmring.ErrNoServer) && times == 0:
					none.Add(1)
				case !errors.Is(err, context.Canceled):
					t.Errorf("request %d was served %d times, error %v", n, times, err)
					return
				}
			}
		}
	}
	together(caller(2), caller(3), caller(4), func() {
		defer cancel()
		killAll(t, 60, func(i int) (*exec.Cmd, bool) {
			before, count := answered.Load(), book[0].Load()
			role := "server"
			if i > 0 {
				role = "caller"
			}
			child := doom(t, f, bookFile, role)
			return child, eventually(func() bool { return answered.Load() > before && (i == 0 || book[0].Load() > count) })
		})
	})
	t.Logf("%d replies, %d servers died, %d requests without one", answered.Load(), died.Load(), none.Load())
}

// holdService joins as ROLE, server or client, and prints "ready". As a server, it first
// takes a request, which it never answers. As a client, it makes a call.
func holdService(args []string) error {
	s, err := inherited(3, shmring.OpenServiceIn)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if args[0] == "client" {
		c, err := s.JoinClient()
		if err != nil {
			return err
		}
		go func() { _, _ = c.Call(ctx, []byte("held")) }()
	} else {
		v, err := s.JoinServer()
		if err != nil {
			return err
		}
		if _, err := v.Receive(ctx); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestServiceServerDies kills the server while it serves one request and another waits.
// With Outlive, the waiting request goes to the next server.
func TestServiceServerDies(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	for name, outlive := range map[string]bool{"default": false, "outlive": true} {
		t.Run(name, func(t *testing.T) {
			ctx := background(t)
			s, err := shmring.OpenOrCreateService(ctx, "/service", shmring.ServiceLimits{}, &shmring.NamedOptions{Outlive: outlive})
			noError(t, err)
			f, err := os.OpenFile("/dev/shm/service", os.O_RDWR, 0)
			noError(t, err)
			defer f.Close()
			c := joinClient(t, s)
			served := calling(ctx, c, "first")
			child := start(t, goPeer(t, self(t), f, "holdService", "server"))
			waits := calling(ctx, c, "second")
			waiting := func() bool {
				all, err := s.Callers()
				return err == nil && all[0].Calls == 2
			}
			if !eventually(waiting) {
				t.Fatal("the requests are not there")
			}
			began := time.Now()
			kill(t, child)
			if alive, err := s.Served(); alive || err != nil {
				t.Errorf("Served = %v, %v", alive, err)
			}
			wantError(t, "the request that was being served", <-served, shmring.ErrPeerDied)
			t.Logf("noticed after %v", time.Since(began))
			if outlive {
				v := joinServer(t, s)
				answer(t, receive(t, v, "second"))
				noError(t, errors.Join(<-waits, v.Close()))
			} else {
				wantError(t, "the request that was waiting", <-waits, shmring.ErrNoServer)
				_, err := c.Call(ctx, nil)
				wantError(t, "Call", err, shmring.ErrNoServer)
			}
			noError(t, errors.Join(c.Close(), s.Remove(), s.Close()))
		})
	}
}

// TestServiceAllTold kills the server while as many requests wait as a client can make. All
// callers notice it at the same check, not one after another.
func TestServiceAllTold(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	ctx := background(t)
	s, f := newService(t, shmring.ServiceLimits{})
	c := joinClient(t, s)
	var all []<-chan error
	for range s.Limits().Calls {
		all = append(all, calling(ctx, c, "hello"))
	}
	child := start(t, goPeer(t, self(t), f, "holdService", "server"))
	waiting := func() bool {
		callers, err := s.Callers()
		return err == nil && callers[0].Calls == len(all)
	}
	if !eventually(waiting) {
		t.Fatal("the requests are not there")
	}
	began := time.Now()
	kill(t, child)
	for _, call := range all {
		if err := <-call; !errors.Is(err, shmring.ErrPeerDied) && !errors.Is(err, shmring.ErrNoServer) {
			t.Errorf("Call = %v", err)
		}
	}
	if d := time.Since(began); d > 2*time.Second { // a check for each caller would take 2.4 s
		t.Errorf("it took %v to tell %d callers", d, len(all))
	}
}

// TestServiceStopped stops a client that does not fetch its reply. The server and other
// clients go on. When the client is killed, its role becomes free.
func TestServiceStopped(t *testing.T) {
	ctx := background(t)
	s, f := newService(t, shmring.ServiceLimits{Clients: 2})
	v := joinServer(t, s)
	child := start(t, goPeer(t, self(t), f, "holdService", "client"))
	held := receive(t, v, "held")
	noError(t, child.Process.Signal(unix.SIGSTOP))
	answer(t, held)
	c := joinClient(t, s)
	for range 100 {
		call := calling(ctx, c, "hello")
		answer(t, receive(t, v, "hello"))
		noError(t, <-call)
	}
	_, err := s.JoinClient()
	wantError(t, "a third client", err, shmring.ErrBusy)
	kill(t, child)
	all, err := s.Callers()
	if noError(t, err); len(all) != 2 || all[0].Alive || !all[1].Alive {
		t.Errorf("Callers = %+v", all)
	}
	other := joinClient(t, s)
	call := calling(ctx, other, "hello")
	answer(t, receive(t, v, "hello"))
	noError(t, <-call)
}

// TestServiceClientDies kills a client whose request is being served.
func TestServiceClientDies(t *testing.T) {
	s, f := newService(t, shmring.ServiceLimits{Clients: 1, Calls: 1})
	v := joinServer(t, s)
	child := start(t, goPeer(t, self(t), f, "holdService", "client"))
	r := receive(t, v, "held")
	if r.Abandoned() {
		t.Error("the request is given up while its client lives")
	}
	kill(t, child)
	if !r.Abandoned() {
		t.Error("the request is not given up though its client died")
	}
	call := calling(background(t), joinClient(t, s), "next") // in the same role
	answer(t, r)
	answer(t, receive(t, v, "next"))
	noError(t, <-call)
}

// scribbleService overwrites words of the service until it is killed: SEED.
func scribbleService(args []string) error {
	return scribble(args, func(control ledger, rng *rand.Rand) (word int, value uint64) {
		control = control[:(12288+10*128)/8]
		word = 12288/8 + 16*rng.IntN(10) + rng.IntN(5) // of a call
		switch rng.IntN(4) {
		case 0:
			word = rng.IntN(len(control))
		case 1:
			word = []int{32, 48, 81, 512, 528}[rng.IntN(5)]
		}
		switch v := control[word].Load(); rng.IntN(6) {
		case 0: // another state, of this request or the next
			return word, v&^7 | uint64(rng.IntN(5))
		case 1:
			return word, v + 8
		default:
			return word, garble(control, v, rng)
		}
	})
}

// TestMadService has a peer that writes garbage. Every call ends, without a panic.
func TestMadService(t *testing.T) {
	_, f := shared(t, shmring.ServiceSize(killLimits()))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	for trial := range ipctest.Rounds(t, 20, 1) {
		s, err := shmring.CreateServiceIn(m, killLimits())
		noError(t, err)
		child := goPeer(t, self(t), f, "madService", trial)
		noError(t, child.Start())
		end := time.Now().Add(150 * time.Millisecond)
		together(
			func() { madServer(t, s, end) },
			func() { madClient(t, s, end) },
			func() { madClient(t, s, end) },
			func() {
				for time.Now().Before(end) {
					if again, err := shmring.OpenServiceIn(m); err == nil {
						_, _ = again.Callers()
						_, _ = again.Served()
						again.Close()
					}
				}
			},
		)
		kill(t, child)
		noError(t, s.Close())
	}
	noError(t, m.Unmap())
}

func madServer(t *testing.T, s *shmring.Service, end time.Time) {
	for time.Now().Before(end) {
		v, err := s.JoinServer()
		if err != nil {
			continue
		}
		for i := 0; i < 200 && time.Now().Before(end); i++ {
			limited(t, "Receive", func(ctx context.Context) {
				if r, err := v.Receive(ctx); err == nil {
					_ = r.Abandoned()
					_ = r.Reply(r.Data, nil)
				}
			})
		}
		v.Close()
	}
}

func madClient(t *testing.T, s *shmring.Service, end time.Time) {
	for time.Now().Before(end) {
		c, err := s.JoinClient()
		if err != nil {
			continue
		}
		for i := 0; i < 200 && time.Now().Before(end); i++ {
			call := func() {
				limited(t, "Call", func(ctx context.Context) { _, _ = c.Call(ctx, make([]byte, i*10)) })
			}
			together(call, call, call)
		}
		c.Close()
	}
}
