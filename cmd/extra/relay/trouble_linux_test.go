package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/cmd/extra/relay"
	"github.com/sysvipc/gipc/shmring"
)

// TestFull fills the other ring: producers wait, and the log says so once.
func TestFull(t *testing.T) {
	url := extratest.Serve(t, nil).ClientURL()
	from := open(t, "/from", shmring.NamedOptions{Capacity: 1 << 16})
	to := open(t, "/to", shmring.NamedOptions{Capacity: 1 << 16})
	j, received := newJournal(), newJournal()
	route := relay.Route{Conn: connect(t, url), Subject: "ipc.test"}
	startReceive(t, to, received, route)
	received.await(t, "receiving", 1)
	startSend(t, from, j, route)
	const n = 40000 // more than both rings and the relay hold
	failed := make(chan error, 1)
	go func() { failed <- put(from, 0, n) }()
	j.await(t, "the other ring is full", 1)
	expect(t, consumer(t, to), 0, n)
	check(t, <-failed)
	j.await(t, "the other ring has room", 1)
	if s := j.String(); strings.Count(s, "is full") != 1 || strings.Contains(s, "nobody answers") {
		t.Errorf("the sender logs\n%s", s)
	}
}

// TestServerGone has no server for a while, at first and later.
func TestServerGone(t *testing.T) {
	s := extratest.Serve(t, nil)
	port, url := s.Addr().String()[strings.LastIndexByte(s.Addr().String(), ':')+1:], s.ClientURL()
	s.Shutdown()
	s.WaitForShutdown()
	from, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	j := newJournal()
	startSend(t, from, j, relay.Route{Conn: connect(t, url), Subject: "ipc.test"})
	startReceive(t, to, j, relay.Route{Conn: connect(t, url), Subject: "ipc.test"})
	j.await(t, "no connection to a server", 2)
	c := consumer(t, to)
	for i := range uint64(2) {
		var number int
		_, err := fmt.Sscan(port, &number)
		check(t, err)
		s := extratest.Serve(t, &server.Options{Port: number})
		check(t, put(from, i*100, i*100+100))
		expect(t, c, i*100, i*100+100)
		s.Shutdown()
		s.WaitForShutdown()
		j.await(t, "messages wait: there is no connection to a server", int(i)+2)
	}
}

// TestLameDuck has a server of a cluster send its clients away.
func TestLameDuck(t *testing.T) {
	first := extratest.Serve(t, &server.Options{
		ServerName: "first", LameDuckDuration: time.Second, LameDuckGracePeriod: -time.Millisecond,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT},
	})
	second := extratest.Serve(t, &server.Options{
		ServerName: "second", Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT},
		Routes: []*url.URL{{Scheme: "nats", Host: first.ClusterAddr().String()}},
	})
	for over := time.Now().Add(patience); first.NumRoutes() == 0 || second.NumRoutes() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("the servers do not meet")
		}
	}
	from, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	startSend(t, from, newJournal(), relay.Route{Conn: connect(t, first.ClientURL()), Subject: "ipc.test"})
	nc := connect(t, first.ClientURL())
	startReceive(t, to, newJournal(), relay.Route{Conn: nc, Subject: "ipc.test"})
	f := startFlow(t, from, to)
	f.await(t)
	first.LameDuckShutdown()
	for over := time.Now().Add(patience); nc.ConnectedServerName() != "second"; time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("the client stays")
		}
	}
	f.await(t)
	f.end(t)
}

// TestSecondReceiver has another ring on the same subject.
func TestSecondReceiver(t *testing.T) {
	nc := connect(t, extratest.Serve(t, nil).ClientURL())
	route := relay.Route{Conn: nc, Subject: "ipc.test"}
	a, b := open(t, "/a", shmring.NamedOptions{}), open(t, "/b", shmring.NamedOptions{})
	j := newJournal()
	stop := startReceive(t, a, j, route)
	j.await(t, "receiving", 1)
	if err := relay.Receive(t.Context(), b, route, nil); !errors.Is(err, relay.ErrSubject) {
		t.Errorf("Receive of a second ring = %v", err)
	}
	check(t, stop())
	startReceive(t, b, j, route)
	j.await(t, "receiving", 2)
}

// TestSecondSender has another ring that sends on the same subject.
func TestSecondSender(t *testing.T) {
	nc := connect(t, extratest.Serve(t, nil).ClientURL())
	route := relay.Route{Conn: nc, Subject: "ipc.test"}
	a, b := open(t, "/a", shmring.NamedOptions{}), open(t, "/b", shmring.NamedOptions{})
	to := open(t, "/to", shmring.NamedOptions{})
	startReceive(t, to, newJournal(), route)
	c := consumer(t, to)
	stop := startSend(t, a, newJournal(), route)
	check(t, put(a, 0, 10))
	expect(t, c, 0, 10)
	if err := relay.Send(t.Context(), b, []relay.Route{route}, nil); !errors.Is(err, relay.ErrRefused) {
		t.Errorf("Send of a second ring = %v", err)
	}
	check(t, put(a, 10, 20))
	expect(t, c, 10, 20)
	check(t, stop())
	startSend(t, b, newJournal(), route)
	check(t, put(b, 0, 10))
	expect(t, c, 0, 10)
}

// TestNewRing replaces the receiving ring, as a restart of its machine does.
func TestNewRing(t *testing.T) {
	nc := connect(t, extratest.Serve(t, nil).ClientURL())
	route := relay.Route{Conn: nc, Subject: "ipc.test"}
	from, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	sent := newJournal()
	startSend(t, from, sent, route)
	stop := startReceive(t, to, newJournal(), route)
	check(t, put(from, 0, 10))
	expect(t, consumer(t, to), 0, 10)
	check(t, stop())
	check(t, to.Unlink())
	again := open(t, "/to", shmring.NamedOptions{})
	check(t, put(from, 10, 20))
	startReceive(t, again, newJournal(), route)
	expect(t, consumer(t, again), 10, 20)
	sent.await(t, "another ring receives now", 1)
}

// TestGarbage publishes nonsense on the subject. The receiver goes on.
func TestGarbage(t *testing.T) {
	nc := connect(t, extratest.Serve(t, nil).ClientURL())
	route := relay.Route{Conn: nc, Subject: "ipc.test"}
	from, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	j := newJournal()
	startReceive(t, to, j, route)
	j.await(t, "receiving", 1)
	source := strings.Repeat("ab", 16)
	for _, h := range []nats.Header{
		{},
		{"Gipc-Relay": {"2 data"}},
		{"Gipc-Relay": {"1 data"}},
		{"Gipc-Relay": {"1 data"}, "Gipc-Source": {"ab"}},
		{"Gipc-Relay": {"1 data"}, "Gipc-Source": {source}},
		{"Gipc-Relay": {"1 data"}, "Gipc-Source": {source}, "Gipc-End": {"64 0"}},
		{"Gipc-Relay": {"1 data"}, "Gipc-Source": {source}, "Gipc-End": {"64 0"}, "Gipc-Part": {"0 1099511627776"}},
		{"Gipc-Relay": {"1 data"}, "Gipc-Source": {source}, "Gipc-End": {"64 0"}, "Gipc-Part": {"0 -1"}},
		{"Gipc-Relay": {"1 data"}, "Gipc-Source": {source}, "Gipc-End": {"64 0"}, "Gipc-Part": {"9 10"}},
		{"Gipc-Relay": {"1 unknown"}, "Gipc-Source": {source}},
	} {
		_, err := nc.RequestMsg(&nats.Msg{Subject: "ipc.test", Header: h, Data: []byte("\xff\xff\xff\xffgarbage")}, 100*time.Millisecond)
		if err != nil && !errors.Is(err, nats.ErrTimeout) {
			t.Errorf("%v: %v", h, err)
		}
	}
	startSend(t, from, newJournal(), route)
	check(t, put(from, 0, 10))
	expect(t, consumer(t, to), 0, 10)
}

// TestLiar has a receiver that answers nonsense. The sender does not keep a processor busy,
// and releases nothing.
func TestLiar(t *testing.T) {
	nc := connect(t, extratest.Serve(t, nil).ClientURL())
	asked := make(chan struct{}, 1000)
	_, err := nc.Subscribe("ipc.test", func(m *nats.Msg) {
		asked <- struct{}{}
		h := nats.Header{"Gipc-Relay": {"1 state"}, "Gipc-Ring": {strings.Repeat("cd", 16)}, "Gipc-Limit": {"4096"}}
		_ = m.RespondMsg(&nats.Msg{Header: h})
	})
	check(t, err)
	from := open(t, "/from", shmring.NamedOptions{})
	check(t, put(from, 0, 10))
	stop := startSend(t, from, newJournal(), relay.Route{Conn: nc, Subject: "ipc.test"})
	for range 6 {
		<-asked
	}
	time.Sleep(time.Second)
	if n := len(asked); n > 20 {
		t.Errorf("%d requests in a second", n)
	}
	check(t, stop())
	expect(t, consumer(t, from), 0, 10)
}

// TestRejected has a server that does not accept the password.
func TestRejected(t *testing.T) {
	url := extratest.Serve(t, &server.Options{Username: "user", Password: "secret"}).ClientURL()
	nc := connect(t, url, nats.UserInfo("user", "wrong"))
	from, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	route := relay.Route{Conn: nc, Subject: "ipc.test"}
	for what, run := range map[string]func() error{
		"Send":    func() error { return relay.Send(t.Context(), from, []relay.Route{route}, nil) },
		"Receive": func() error { return relay.Receive(t.Context(), to, route, nil) },
	} {
		if err := run(); !errors.Is(err, relay.ErrConnection) || !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s = %v", what, err)
		}
	}
}

func TestBadArguments(t *testing.T) {
	for _, subject := range []string{"", "a..b", ".a", "a.", "a.*", ">", "a b", "$SYS.x", "_INBOX.x", "a\tb"} {
		if err := relay.CheckSubject(subject); !errors.Is(err, relay.ErrSubject) {
			t.Errorf("CheckSubject(%q) = %v", subject, err)
		}
	}
	ring := open(t, "/many", shmring.NamedOptions{Producers: shmring.Many})
	if err := relay.Receive(context.Background(), ring, relay.Route{Subject: "a"}, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Receive into a ring for many = %v", err)
	}
	if err := relay.Send(context.Background(), ring, nil, nil); !errors.Is(err, relay.ErrSubject) {
		t.Errorf("Send without a route = %v", err)
	}
}

// TestPermissions gives the relays no more than what docs/relay.md says that they need. A
// third user may do nothing on the subject.
func TestPermissions(t *testing.T) {
	may := func(name string, publish, subscribe []string) *server.User {
		return &server.User{Username: name, Password: name, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
		}}
	}
	url := extratest.Serve(t, &server.Options{Users: []*server.User{
		may("sender", []string{"ipc.test", "_INBOX.>"}, []string{"_INBOX.>"}),
		may("receiver", []string{"ipc.test", "_INBOX.>"}, []string{"ipc.test", "_INBOX.>"}),
		may("other", []string{"other"}, []string{"other"}),
	}}).ClientURL()
	denied := make(chan error, 10)
	as := func(name string) relay.Route {
		nc := connect(t, url, nats.UserInfo(name, name), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			select {
			case denied <- fmt.Errorf("%s: %w", name, err):
			default:
			}
		}))
		return relay.Route{Conn: nc, Subject: "ipc.test"}
	}
	from, second, to := open(t, "/from", shmring.NamedOptions{}), open(t, "/second", shmring.NamedOptions{}), open(t, "/to", shmring.NamedOptions{})
	startReceive(t, to, newJournal(), as("receiver"))
	startSend(t, from, newJournal(), as("sender"))
	c := consumer(t, to)
	check(t, put(from, 0, 100))
	expect(t, c, 0, 100)
	// The receiver asks the first sender whether it lives.
	if err := relay.Send(t.Context(), second, []relay.Route{as("sender")}, nil); !errors.Is(err, relay.ErrRefused) {
		t.Errorf("Send of a second ring = %v", err)
	}
	if len(denied) > 0 {
		t.Errorf("denied: %v", <-denied)
	}
	other := open(t, "/other", shmring.NamedOptions{})
	startSend(t, other, newJournal(), as("other"))
	if err := <-denied; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("denied: %v", err)
	}
	check(t, put(from, 100, 200))
	expect(t, c, 100, 200)
}

// TestTruncated has another process make the memory of each ring shorter while it is in use.
func TestTruncated(t *testing.T) {
	route := relay.Route{Conn: connect(t, extratest.Serve(t, nil).ClientURL()), Subject: "ipc.test"}
	for name, run := range map[string]func(*shmring.Ring) error{
		"/from": func(r *shmring.Ring) error { return relay.Send(t.Context(), r, []relay.Route{route}, nil) },
		"/to":   func(r *shmring.Ring) error { return relay.Receive(t.Context(), r, route, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := shmring.OpenOrCreate(t.Context(), name, &shmring.NamedOptions{Outlive: true})
			check(t, err)
			defer func() { check(t, os.Remove("/dev/shm"+name)) }() // the role stays with the memory
			ended := make(chan error, 1)
			go func() { ended <- run(r) }()
			for m := r.Members(); !m.Consumer && m.Producers == 0; m = r.Members() {
				time.Sleep(time.Millisecond)
			}
			check(t, os.Truncate("/dev/shm"+name, 0))
			if name == "/to" { // it looks into the ring only when there is something to write
				h := nats.Header{"Gipc-Relay": {"1 data"}, "Gipc-Source": {strings.Repeat("ab", 16)}, "Gipc-End": {"64 0"}}
				for len(ended) == 0 {
					_ = route.Conn.PublishMsg(&nats.Msg{Subject: "ipc.test", Reply: "x", Header: h, Data: []byte{0, 0, 0, 0}})
					time.Sleep(10 * time.Millisecond)
				}
			}
			if err := <-ended; !errors.Is(err, shmring.ErrFault) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}
