package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/cmd/extra/relay"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

func TestMain(m *testing.M) {
	ipctest.Play(roles)
	ipctest.MainPOSIX(m)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

// dial connects as the program does.
func dial(url string, more ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(url, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2),
	}, more...)...)
}

func connect(t testing.TB, url string, more ...nats.Option) *nats.Conn {
	t.Helper()
	c, err := dial(url, more...)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

// open opens a ring, or makes it.
func open(t testing.TB, name string, o shmring.NamedOptions) *shmring.Ring {
	t.Helper()
	o.Outlive = true
	r, err := shmring.OpenOrCreate(context.Background(), name, &o)
	check(t, err)
	t.Cleanup(func() {
		if err := r.CloseAndRemove(); err != nil && !errors.Is(err, shmring.ErrClosed) {
			t.Error(err)
		}
	})
	return r
}

// A journal is the log of a relay.
type journal struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func newJournal() *journal { return &journal{grown: make(chan struct{}, 1)} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case j.grown <- struct{}{}:
	default:
	}
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// await waits until the journal says it n times.
func (j *journal) await(t testing.TB, what string, n int) {
	t.Helper()
	for over := time.After(patience); strings.Count(j.String(), what) < n; {
		select {
		case <-j.grown:
		case <-over:
			t.Fatalf("the log does not say %q %d times:\n%s", what, n, j)
		}
	}
}

func (j *journal) options() *relay.Options {
	return &relay.Options{Log: slog.New(slog.NewTextHandler(j, nil))}
}

// start runs a relay until stop is called, or the test ends. stop returns its error, if that
// is not the context's.
func start(t testing.TB, run func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("a relay ends with %v", err)
		}
	})
	return stop
}

func startSend(t testing.TB, r *shmring.Ring, j *journal, routes ...relay.Route) (stop func() error) {
	t.Helper()
	return start(t, func(ctx context.Context) error { return relay.Send(ctx, r, routes, j.options()) })
}

func startReceive(t testing.TB, r *shmring.Ring, j *journal, from relay.Route) (stop func() error) {
	t.Helper()
	return start(t, func(ctx context.Context) error { return relay.Receive(ctx, r, from, j.options()) })
}

// message returns message i, of a length that varies and with bytes that depend on i.
func message(i uint64) []byte {
	p := make([]byte, 8+i*37%500)
	binary.LittleEndian.PutUint64(p, i)
	for j := 8; j < len(p); j++ {
		p[j] = byte(i*31 + uint64(j))
	}
	return p
}

// put sends messages first to end-1.
func put(r *shmring.Ring, first, end uint64) error {
	p, err := r.JoinProducer()
	if err != nil {
		return err
	}
	for i := first; i < end; i++ {
		if err := p.Send(context.Background(), message(i)); err != nil {
			return err
		}
	}
	return p.Close()
}

// A receiver receives from a ring or a broadcast.
type receiver interface {
	Receive(context.Context) ([]byte, error)
}

// expect receives messages first to end-1.
func expect(t testing.TB, c receiver, first, end uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := first; i < end; i++ {
		msg, err := c.Receive(ctx)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if want := message(i); !bytes.Equal(msg, want) {
			t.Fatalf("message %d: %s, want %s", i, brief(msg), brief(want))
		}
	}
}

func brief(p []byte) string { return fmt.Sprintf("%d bytes, %x", len(p), p[:min(len(p), 16)]) }

func consumer(t testing.TB, r *shmring.Ring) *shmring.Consumer {
	t.Helper()
	c, err := r.JoinConsumer()
	check(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, shmring.ErrClosed) {
			t.Error(err)
		}
	})
	return c
}

// TestRelay passes messages on from rings for one and for many producers.
func TestRelay(t *testing.T) {
	for _, kind := range []shmring.Producers{shmring.One, shmring.Many} {
		t.Run(kind.String(), func(t *testing.T) {
			url := extratest.Serve(t, nil).ClientURL()
			from := open(t, "/from", shmring.NamedOptions{Producers: kind})
			to := open(t, "/to", shmring.NamedOptions{Capacity: 1 << 16})
			sent, received := newJournal(), newJournal()
			route := relay.Route{Conn: connect(t, url), Subject: "ipc.test"}
			startSend(t, from, sent, route)
			startReceive(t, to, received, relay.Route{Conn: connect(t, url), Subject: "ipc.test"})
			const n = 20000
			failed := make(chan error, 1)
			go func() { failed <- put(from, 0, n) }()
			expect(t, consumer(t, to), 0, n)
			check(t, <-failed)
			if s := sent.String(); strings.Contains(s, "ERROR") || strings.Count(s, "\n") > 2 {
				t.Errorf("the sender logs\n%s", s)
			}
		})
	}
}

// TestRestart ends and starts both relays again and again, in turn.
func TestRestart(t *testing.T) {
	url := extratest.Serve(t, nil).ClientURL()
	from := open(t, "/from", shmring.NamedOptions{})
	to := open(t, "/to", shmring.NamedOptions{})
	c := consumer(t, to)
	route := relay.Route{Conn: connect(t, url), Subject: "ipc.test"}
	j := newJournal()
	stopSend, stopReceive := startSend(t, from, j, route), startReceive(t, to, j, route)
	for i := range uint64(12) {
		check(t, put(from, i*100, i*100+100))
		if i%2 == 0 {
			check(t, stopSend())
			stopSend = startSend(t, from, j, route)
		} else {
			check(t, stopReceive())
			stopReceive = startReceive(t, to, j, route)
		}
		expect(t, c, i*100, i*100+100)
	}
}

// TestLargeMessages has messages of many parts, from none to the longest one that fits.
func TestLargeMessages(t *testing.T) {
	url := extratest.Serve(t, &server.Options{MaxPayload: 32 << 10}).ClientURL()
	from := open(t, "/from", shmring.NamedOptions{Capacity: 8 << 20})
	to := open(t, "/to", shmring.NamedOptions{Capacity: 4 << 20})
	j := newJournal()
	route := relay.Route{Conn: connect(t, url), Subject: "ipc.test"}
	startSend(t, from, j, route)
	startReceive(t, to, j, route)
	p, err := from.JoinProducer()
	check(t, err)
	c := consumer(t, to)
	var sizes []int
	for n := 1; n < to.MaxMessage(); n = n*3 + 1 {
		sizes = append(sizes, n)
	}
	for _, n := range append(sizes, to.MaxMessage(), 0, 30<<10, 30<<10+1) {
		msg := make([]byte, n)
		for i := range msg {
			msg[i] = byte(i * 7 / 3)
		}
		check(t, p.Send(t.Context(), msg))
		got, err := c.Receive(t.Context())
		check(t, err)
		if !bytes.Equal(got, msg) {
			t.Errorf("a message of %d bytes arrives as %s", n, brief(got))
		}
	}
	check(t, p.Close())
}

// TestTooLong sends a message that the other ring cannot hold.
func TestTooLong(t *testing.T) {
	url := extratest.Serve(t, nil).ClientURL()
	from := open(t, "/from", shmring.NamedOptions{Capacity: 1 << 16})
	to := open(t, "/to", shmring.NamedOptions{Capacity: 1 << 12})
	route := relay.Route{Conn: connect(t, url), Subject: "ipc.test"}
	startReceive(t, to, newJournal(), route)
	p, err := from.JoinProducer()
	check(t, err)
	check(t, p.Send(t.Context(), make([]byte, to.MaxMessage()+1)))
	check(t, p.Close())
	err = relay.Send(t.Context(), from, []relay.Route{route}, nil)
	if !errors.Is(err, relay.ErrRefused) || !strings.Contains(err.Error(), "2049 bytes") {
		t.Errorf("Send = %v", err)
	}
	// It is still there.
	if at, err := from.Positions(); err != nil || at.Head == at.Tail {
		t.Errorf("Positions = %+v, %v", at, err)
	}
}

// TestFanOut passes messages on to two rings and a broadcast. One of the routes comes late
// and goes away meanwhile; the others do not wait until the ring is full.
func TestFanOut(t *testing.T) {
	url := extratest.Serve(t, nil).ClientURL()
	from := open(t, "/from", shmring.NamedOptions{})
	a, b := open(t, "/a", shmring.NamedOptions{}), open(t, "/b", shmring.NamedOptions{})
	all, err := shmring.OpenOrCreateBroadcast(t.Context(), "/all", &shmring.NamedOptions{Outlive: true})
	check(t, err)
	t.Cleanup(func() { check(t, all.CloseAndRemove()) })
	subscription, err := all.Subscribe(shmring.Block, nil)
	check(t, err)
	t.Cleanup(func() { check(t, subscription.Close()) })
	nc, j := connect(t, url), newJournal()
	route := func(subject string) relay.Route { return relay.Route{Conn: nc, Subject: subject} }
	stopSend := startSend(t, from, j, route("a"), route("b"), route("all"))
	startReceive(t, a, newJournal(), route("a"))
	stopAll := start(t, func(ctx context.Context) error { return relay.ReceiveBroadcast(ctx, all, route("all"), nil) })
	check(t, put(from, 0, 1000))
	expect(t, consumer(t, a), 0, 1000)
	expect(t, subscription, 0, 1000)
	// Another Send begins with messages that two of the routes have.
	check(t, stopSend())
	check(t, stopAll())
	startSend(t, from, j, route("a"), route("b"), route("all"))
	startReceive(t, b, newJournal(), route("b"))
	expect(t, consumer(t, b), 0, 1000)
	check(t, put(from, 1000, 1100))
	start(t, func(ctx context.Context) error { return relay.ReceiveBroadcast(ctx, all, route("all"), nil) })
	expect(t, subscription, 1000, 1100)
}

// TestInterrupted ends a receiver in the middle of a batch: a reader of its broadcast blocks.
// The next receiver goes on after the messages that were published.
func TestInterrupted(t *testing.T) {
	route := relay.Route{Conn: connect(t, extratest.Serve(t, nil).ClientURL()), Subject: "ipc.test"}
	from := open(t, "/from", shmring.NamedOptions{})
	all, err := shmring.OpenOrCreateBroadcast(t.Context(), "/all", &shmring.NamedOptions{Outlive: true, Capacity: 1 << 16})
	check(t, err)
	t.Cleanup(func() { check(t, all.CloseAndRemove()) })
	subscription, err := all.Subscribe(shmring.Block, nil)
	check(t, err)
	t.Cleanup(func() { check(t, subscription.Close()) })
	const n = 1000
	check(t, put(from, 0, n))
	receive := func() (stop func() error) {
		return start(t, func(ctx context.Context) error { return relay.ReceiveBroadcast(ctx, all, route, nil) })
	}
	published := func() uint64 {
		n, err := all.Published()
		check(t, err)
		return n
	}
	stop := receive()
	startSend(t, from, newJournal(), route)
	for i := uint64(0); i < n; {
		for before := published(); before == i || published() != before; before = published() {
			time.Sleep(10 * time.Millisecond) // until it waits for the reader
		}
		check(t, stop())
		next := min(published(), n)
		expect(t, subscription, i, next)
		i = next
		stop = receive()
	}
	check(t, stop())
	if got := published(); got != n {
		t.Errorf("%d messages were published, want %d", got, n)
	}
}

// TestRepeated publishes all requests of a sender again, in order and in disorder, as a
// network may that has held them back. None of their messages arrives twice.
func TestRepeated(t *testing.T) {
	nc := connect(t, extratest.Serve(t, nil).ClientURL())
	route := relay.Route{Conn: nc, Subject: "ipc.test"}
	spy, err := nc.SubscribeSync("ipc.test")
	check(t, err)
	from, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	stopReceive := startReceive(t, to, newJournal(), route)
	stopSend := startSend(t, from, newJournal(), route)
	c := consumer(t, to)
	for i := range uint64(20) {
		check(t, put(from, i*10, i*10+10))
		expect(t, c, i*10, i*10+10)
	}
	check(t, stopSend())
	check(t, nc.Flush())
	var requests []*nats.Msg
	for n, _, err := spy.Pending(); n > 0; n, _, err = spy.Pending() {
		check(t, err)
		m, err := spy.NextMsg(patience)
		check(t, err)
		requests = append(requests, m)
	}
	check(t, spy.Unsubscribe())
	repeat := func(m *nats.Msg) {
		_, err := nc.RequestMsg(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, patience)
		check(t, err)
	}
	for range 3 {
		for _, m := range requests {
			if m.Header.Get("Gipc-Relay") == "1 data" {
				repeat(m)
			}
		}
		rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	}
	if msg, ok, err := c.TryReceive(); ok || err != nil {
		t.Errorf("received %s, %v", brief(msg), err)
	}
	startSend(t, from, newJournal(), route)
	check(t, put(from, 200, 210))
	expect(t, c, 200, 210)
	check(t, stopReceive())
}
