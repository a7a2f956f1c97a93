package shmring_test

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

func newNotifier(t testing.TB) *shmring.Notifier {
	t.Helper()
	n, err := shmring.NewNotifier()
	noError(t, err)
	t.Cleanup(func() {
		if err := n.Close(); err != nil && !errors.Is(err, shmring.ErrClosed) {
			t.Error(err)
		}
	})
	return n
}

// readable reports whether the descriptor is readable within the time.
func readable(t testing.TB, n *shmring.Notifier, within time.Duration) bool {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(n.Fd()), Events: unix.POLLIN}}
	for {
		ready, err := unix.Poll(p, int(within.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		noError(t, err)
		return ready > 0
	}
}

// TestNotifier watches a source of each kind with poll(2), and makes one of them ready.
func TestNotifier(t *testing.T) {
	all := candidates(t)
	names := slices.Sorted(maps.Keys(all))
	n := newNotifier(t)
	sources := func() (sources []shmring.Source) {
		for _, name := range names {
			sources = append(sources, all[name].source())
		}
		return sources
	}
	slow := newSlowness(t)
	for round := range ipctest.Rounds(t, 400, 0) {
		want := rand.IntN(len(names))
		chosen := all[names[want]]
		if round%4 == 0 { // it is ready before the watch
			noError(t, chosen.make())
			noError(t, n.Watch(sources()...))
		} else {
			noError(t, n.Watch(sources()...))
			if readable(t, n, 0) {
				t.Fatalf("round %d: readable, though no source is ready", round)
			}
			time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
			noError(t, chosen.make())
		}
		began := time.Now()
		for range 2 { // it stays readable
			if !readable(t, n, 10*time.Second) {
				t.Fatalf("round %d: not readable, though %s is ready", round, names[want])
			}
		}
		slow.count(began)
		if i, err := n.Ready(); i != want || err != nil {
			t.Fatalf("Ready = %d, %v, want %d, %s", i, err, want, names[want])
		}
		if ok, err := chosen.take(); !ok || err != nil {
			t.Fatalf("%s: taken: %v, %v", names[want], ok, err)
		}
		if readable(t, n, 0) {
			t.Fatalf("round %d: readable after Ready", round)
		}
	}
	slow.check(t)
}

// TestNotifierEdge watches with edge-triggered epoll(7), and with the poller of the Go
// runtime.
func TestNotifierEdge(t *testing.T) {
	feed := consumerCandidate(background(t), t, shmring.Many)
	n := newNotifier(t)
	e, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	noError(t, err)
	defer unix.Close(e)
	noError(t, unix.EpollCtl(e, unix.EPOLL_CTL_ADD, int(n.Fd()), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}))
	events := func(timeout int) int {
		for {
			got, err := unix.EpollWait(e, make([]unix.EpollEvent, 8), timeout)
			if !errors.Is(err, unix.EINTR) {
				noError(t, err)
				return got
			}
		}
	}
	fd, err := unix.Dup(int(n.Fd()))
	noError(t, err)
	f := os.NewFile(uintptr(fd), "eventfd") // it is non-blocking, so the runtime polls it
	defer f.Close()
	for round := range 20 {
		noError(t, n.Watch(feed.source()))
		if got := events(0); got != 0 {
			t.Fatalf("%d events, though the source is not ready", got)
		}
		noError(t, feed.make())
		if got := events(10_000); got != 1 {
			t.Fatalf("%d events for a source that is ready", got)
		}
		if got := events(0); got != 0 {
			t.Fatalf("%d more events", got)
		}
		if round%2 == 0 {
			_, err := io.ReadFull(f, make([]byte, 8))
			noError(t, err)
		}
		if i, err := n.Ready(); i != 0 || err != nil {
			t.Fatalf("Ready = %d, %v", i, err)
		}
		if ok, err := feed.take(); !ok || err != nil {
			t.Fatalf("taken: %v, %v", ok, err)
		}
	}
}

func TestNotifierMisuse(t *testing.T) {
	feed := consumerCandidate(background(t), t, shmring.Many)
	n := newNotifier(t)
	if i, err := n.Ready(); i != -1 || err != nil {
		t.Errorf("Ready without a watch = %d, %v", i, err)
	}
	if err := n.Watch(); err == nil {
		t.Error("Watch without a source succeeds")
	}
	wantError(t, "Watch of 129 sources", n.Watch(slices.Repeat([]shmring.Source{feed.source()}, 129)...), shmring.ErrTooLarge)
	for range 20 {
		noError(t, n.Watch(feed.source()))
		wantError(t, "a second Watch", n.Watch(feed.source()), shmring.ErrBusy)
		if i, err := n.Ready(); i != -1 || err != nil {
			t.Errorf("an early Ready = %d, %v", i, err)
		}
		noError(t, feed.make()) // the source can be used again
		if ok, err := feed.take(); !ok || err != nil {
			t.Fatalf("taken: %v, %v", ok, err)
		}
	}
	noError(t, n.Watch(feed.source()))
	noError(t, n.Close()) // ends the watch
	_, err := n.Ready()
	wantError(t, "Ready", err, shmring.ErrClosed)
	wantError(t, "Watch", n.Watch(feed.source()), shmring.ErrClosed)
	wantError(t, "Close", n.Close(), shmring.ErrClosed)
}

// TestNotifierDeath kills the other side of a source, and closes a server, while they are
// watched.
func TestNotifierDeath(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	m := mortals["subscription"](t)
	service, _ := newService(t, shmring.ServiceLimits{})
	v := joinServer(t, service)
	n := newNotifier(t)
	noError(t, n.Watch(v, m.source))
	if readable(t, n, 2*noticed) {
		t.Fatal("readable before the writer died")
	}
	watch := ipctest.StartWatch(t)
	m.die()
	if !readable(t, n, 10*time.Second) {
		t.Fatal("not readable after the writer died")
	}
	if d, tooLong := watch.Stop(noticed); tooLong {
		t.Errorf("readable after %v, want %v", d, noticed)
	}
	if i, err := n.Ready(); i != 1 || err != nil {
		t.Errorf("Ready = %d, %v, want 1", i, err)
	}
	wantError(t, "the next call", m.try(), m.want)

	noError(t, n.Watch(v))
	noError(t, v.Close())
	if !readable(t, n, 10*time.Second) {
		t.Fatal("not readable after the server was closed")
	}
	if i, err := n.Ready(); i != 0 || err != nil {
		t.Errorf("Ready = %d, %v, want 0", i, err)
	}
}
