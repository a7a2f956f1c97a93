package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sysvipc/gipc/cmd/extra/relay"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

var roles = map[string]ipctest.Role{
	"server":  playServer,
	"send":    func(args []string) error { return playRelay(args, sendRing) },
	"receive": func(args []string) error { return playRelay(args, receiveRing) },
}

// playServer serves NATS on a port until it is killed.
func playServer(args []string) error {
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return errors.New("the server does not start")
	}
	fmt.Println("ready")
	ipctest.Told()
	return nil
}

// playRelay runs a relay between a ring and a subject until it is killed.
func playRelay(args []string, run func(*shmring.Ring, relay.Route) error) error {
	url, name, subject := args[0], args[1], args[2]
	ring, err := shmring.OpenOrCreate(context.Background(), name, &shmring.NamedOptions{Outlive: true})
	if err != nil {
		return err
	}
	nc, err := dial(url)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return run(ring, relay.Route{Conn: nc, Subject: subject})
}

func sendRing(r *shmring.Ring, to relay.Route) error {
	return relay.Send(context.Background(), r, []relay.Route{to}, nil)
}

func receiveRing(r *shmring.Ring, from relay.Route) error {
	return relay.Receive(context.Background(), r, from, nil)
}

// freePort returns a port on which a server can be killed and started again.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// startReady starts this program in a role, and waits until it is ready.
func startReady(t testing.TB, role string, args ...string) *ipctest.Process {
	t.Helper()
	p := ipctest.Start(t, role, nil, args...)
	if line := p.Line(); line != "ready" {
		t.Fatalf("%s says %q", role, line)
	}
	return p
}

// A flow puts messages into one ring and checks those that come out of another.
type flow struct {
	from, to *shmring.Ring
	sent     atomic.Uint64
	arrived  atomic.Uint64
	over     chan struct{} // ends it
	last     chan struct{} // closed before the last message is sent
	ended    chan error
}

// startFlow begins to put messages.
func startFlow(t testing.TB, from, to *shmring.Ring) *flow {
	t.Helper()
	f := &flow{from: from, to: to, over: make(chan struct{}), last: make(chan struct{}), ended: make(chan error, 2)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { f.ended <- f.put(ctx) }()
	go func() { f.ended <- f.take(ctx) }()
	return f
}

func (f *flow) put(ctx context.Context) error {
	p, err := f.from.JoinProducer()
	if err != nil {
		return err
	}
	for i := uint64(0); ; i++ {
		select {
		case <-f.over: // one more, for which the consumer certainly waits
			f.sent.Store(i + 1)
			close(f.last)
			return errors.Join(p.Send(ctx, message(i)), p.Close())
		default:
		}
		if err := p.Send(ctx, message(i)); err != nil {
			return errors.Join(err, p.Close())
		}
		f.sent.Store(i + 1)
	}
}

// take receives messages until all have come that were sent before the end.
func (f *flow) take(ctx context.Context) error {
	c, err := f.to.JoinConsumer()
	if err != nil {
		return err
	}
	for i := uint64(0); ; i++ {
		patient, cancel := context.WithTimeout(ctx, 2*patience)
		msg, err := c.Receive(patient)
		cancel()
		if err == nil && !bytes.Equal(msg, message(i)) {
			err = fmt.Errorf("%s instead of %s", brief(msg), brief(message(i)))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("message %d: %w", i, err), c.Close())
		}
		f.arrived.Store(i + 1)
		select {
		case <-f.last:
			if i+1 == f.sent.Load() {
				return c.Close()
			}
		default:
		}
	}
}

// await waits until more messages have arrived than now.
func (f *flow) await(t testing.TB) {
	t.Helper()
	for before, over := f.arrived.Load(), time.Now().Add(patience); f.arrived.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("no message arrives after %d", before)
		}
	}
}

// end waits until all messages have arrived, and no more.
func (f *flow) end(t testing.TB) {
	t.Helper()
	close(f.over)
	for range 2 {
		select {
		case err := <-f.ended:
			check(t, err)
		case <-time.After(2 * patience):
			t.Fatalf("%d of %d messages arrived", f.arrived.Load(), f.sent.Load())
		}
	}
	if _, ok, err := consumer(t, f.to).TryReceive(); ok || err != nil {
		t.Errorf("after the last message: %t, %v", ok, err)
	}
}

// TestKilled kills the relays and the server at random moments. Every message arrives once.
func TestKilled(t *testing.T) {
	port := freePort(t)
	url := "nats://127.0.0.1:" + port
	from := open(t, "/from", shmring.NamedOptions{})
	to := open(t, "/to", shmring.NamedOptions{})
	start := []func() *ipctest.Process{
		func() *ipctest.Process { return startReady(t, "server", port) },
		func() *ipctest.Process { return startReady(t, "receive", url, "/to", "ipc.test") },
		func() *ipctest.Process { return startReady(t, "send", url, "/from", "ipc.test") },
	}
	procs := make([]*ipctest.Process, len(start))
	for i, f := range start {
		procs[i] = f()
	}
	f := startFlow(t, from, to)
	kills := 0
	for round := range ipctest.Rounds(t, 40, 1) {
		time.Sleep(time.Duration(20+rand.IntN(120)) * time.Millisecond)
		victims := []int{[...]int{1, 2, 1, 2, 0}[rand.IntN(5)]}
		if round%8 == 7 {
			victims = []int{0, 1, 2}
		}
		for _, i := range victims {
			procs[i].Kill()
			kills++
		}
		for _, i := range victims {
			procs[i] = start[i]()
		}
		if round%4 == 3 {
			f.await(t)
		}
	}
	f.end(t)
	t.Logf("%d messages, %d kills", f.sent.Load(), kills)
}

// TestStopped stops each of the processes for longer than a relay waits for an answer.
func TestStopped(t *testing.T) {
	port := freePort(t)
	url := "nats://127.0.0.1:" + port
	from := open(t, "/from", shmring.NamedOptions{})
	to := open(t, "/to", shmring.NamedOptions{})
	s := startReady(t, "server", port)
	j := newJournal()
	receive := startReady(t, "receive", url, "/to", "ipc.test")
	startSend(t, from, j, relay.Route{Conn: connect(t, url), Subject: "ipc.test"})
	f := startFlow(t, from, to)
	f.await(t)
	for n, p := range []*ipctest.Process{receive, s} {
		check(t, syscall.Kill(p.PID(), syscall.SIGSTOP))
		j.await(t, "nobody answers", n+1)
		check(t, syscall.Kill(p.PID(), syscall.SIGCONT))
		j.await(t, " after=", n+1)
		f.await(t)
	}
	f.end(t)
}

// processorTime returns how long a process has computed.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	check(t, errors.Join(err1, err2))
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick
}

// TestAbsent has no receiver for a while. The sender waits without computing, producers wait
// when the ring is full, and messages arrive within a second of the receiver's return.
func TestAbsent(t *testing.T) {
	port := freePort(t)
	url := "nats://127.0.0.1:" + port
	from := open(t, "/from", shmring.NamedOptions{})
	to := open(t, "/to", shmring.NamedOptions{})
	startReady(t, "server", port)
	send := startReady(t, "send", url, "/from", "ipc.test")
	f := startFlow(t, from, to)
	full := func() bool {
		at, err := from.Positions()
		check(t, err)
		return at.Tail-at.Head > uint64(from.Capacity()-1024)
	}
	for !full() {
		time.Sleep(time.Millisecond)
	}
	const while = 2 * time.Second
	before := processorTime(t, send.PID())
	time.Sleep(while)
	if took := processorTime(t, send.PID()) - before; took > while/20 {
		t.Errorf("a sender without a receiver computes for %v of %v", took, while)
	}
	startReceive(t, to, newJournal(), relay.Route{Conn: connect(t, url), Subject: "ipc.test"})
	back := time.Now()
	f.await(t)
	if took := time.Since(back); took > time.Second {
		t.Errorf("messages arrive %v after the receiver came", took)
	}
	f.end(t)
}
