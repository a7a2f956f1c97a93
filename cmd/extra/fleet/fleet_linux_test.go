package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/snapshot"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func connect(t testing.TB, s *server.Server, more ...nats.Option) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(s.ClientURL(), more...)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

// start starts an agent, which change may change, and waits until it hears questions.
func start(t testing.TB, conn *nats.Conn, host string, change func(*Agent)) {
	t.Helper()
	a, err := NewAgent(host, slog.New(slog.DiscardHandler))
	check(t, err)
	if change != nil {
		change(a)
	}
	ready := &signal{make(chan struct{}, 1)}
	a.Log = slog.New(slog.NewTextHandler(ready, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent of %s ends with %v", host, err)
		}
	})
	<-ready.said
	check(t, conn.Flush())
}

// A signal is a log that tells of its first line.
type signal struct{ said chan struct{} }

func (s *signal) Write(p []byte) (int, error) {
	select {
	case s.said <- struct{}{}:
	default:
	}
	return len(p), nil
}

func asker(conn *nats.Conn, timeout time.Duration) *Asker {
	return &Asker{Conn: conn, Timeout: timeout, Parallel: 64}
}

// ask returns the answers of hosts, which must be in their order.
func ask(t testing.TB, a *Asker, verb Verb, q Question, hosts ...string) []Answer {
	t.Helper()
	answers := slices.Collect(a.Run(context.Background(), hosts, verb, q))
	for i := range answers {
		if answers[i].Host != hosts[i] {
			t.Fatalf("answer %d is that of %s, not of %s", i, answers[i].Host, hosts[i])
		}
	}
	return answers
}

// text returns the lines of an answer.
func text(t testing.TB, a *Answer) string {
	t.Helper()
	check(t, a.Err)
	all, err := io.ReadAll(a.Text())
	check(t, err)
	return string(all)
}

// segments makes segments that last until the test ends.
func segments(t testing.TB, n int) {
	t.Helper()
	for range n {
		s, err := sysv.CreateSegment(sysv.Private, 4096, nil)
		check(t, err)
		t.Cleanup(func() { check(t, s.Remove()) })
	}
}

// TestAnswers asks an agent everything.
func TestAnswers(t *testing.T) {
	segments(t, 3)
	s, err := sysv.CreateSegment(sysv.Key(0x4d2), 8192, nil)
	check(t, err)
	t.Cleanup(func() { check(t, s.Remove()) })
	conn := connect(t, extratest.Serve(t, nil))
	start(t, conn, "web1.example.com", nil)
	a := asker(conn, patience)
	for _, c := range []struct {
		verb Verb
		q    Question
		want []string
		n    int // lines
	}{
		{List, Question{Columns: []string{"kind", "size", "nosuch"}, Where: []string{"size > 5000"}}, []string{`{"kind":"shm","size":8192}`}, 1},
		{List, Question{Columns: []string{"id"}, Where: []string{`kind == "shm"`}}, nil, 4},
		{List, Question{Columns: []string{"verdict"}, Where: []string{`owner == "nobody at all"`}}, nil, 0},
		{Show, Question{Objects: []string{"shm:0x4d2"}}, []string{`"size":8192`, `"verdict":`}, 1},
		{Limits, Question{Where: []string{"size == 8192"}}, []string{`"limit":"SHMMNI","kind":"shm","value":4096,"use":1,`}, -1},
		{Snapshot, Question{}, []string{`{"gipcs_snapshot":1,`, `"size":8192`}, -1},
	} {
		answer := ask(t, a, c.verb, c.q, "web1.example.com")[0]
		got := text(t, &answer)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s %+v: it lacks %s:\n%s", c.verb, c.q, want, got)
			}
		}
		if n := strings.Count(got, "\n"); c.n >= 0 && n != c.n || answer.Status != command.Done || answer.Version != command.Version {
			t.Errorf("%s %+v: %d lines, status %d, version %s, %q:\n%s", c.verb, c.q, n, answer.Status, answer.Version, answer.Messages, got)
		}
		if c.verb == Snapshot {
			_, err := snapshot.Read(answer.Text(), nil)
			check(t, err)
		}
	}
	none := ask(t, a, Show, Question{Objects: []string{"shm:0x4d2", "sem:0x4d2"}}, "web1.example.com")[0]
	if got := text(t, &none); strings.Count(got, "\n") != 1 || none.Status != command.Failed || len(none.Messages) != 1 {
		t.Errorf("a set that does not exist: status %d, %q:\n%s", none.Status, none.Messages, got)
	}
}

// TestRejected: questions that are wrong are refused, and no path is looked at.
func TestRejected(t *testing.T) {
	conn := connect(t, extratest.Serve(t, nil))
	start(t, conn, "web1", nil)
	for _, q := range []Question{
		{Where: []string{"nosuch == 1"}},
		{Where: []string{"size =="}},
		{Where: []string{`key == key("ftok:/etc/shadow")`}},
		{Where: []string{`key == key("\u0066tok:/etc/shadow")`}},
		{Where: slices.Repeat([]string{"size == 1"}, maxConditions+1)},
		{Objects: slices.Repeat([]string{"shm:1"}, maxObjects+1)},
		{Objects: []string{"shm:ftok:/etc/shadow"}},
	} {
		verb := List
		if q.Objects != nil {
			verb = Show
		}
		answer := ask(t, asker(conn, patience), verb, q, "web1")[0]
		if wrong := (*Rejected)(nil); !errors.As(answer.Err, &wrong) {
			t.Errorf("%.60q %.60q: %v", q.Where, q.Objects, answer.Err)
		}
	}
	for _, data := range []string{"", "{", "[]", `{"protocol":0}`, `{"protocol":99}`, `{"protocol":1,"where":7}`, strings.Repeat("x", maxQuestion+1)} {
		reply, err := conn.Request(Subject("web1", List), []byte(data), patience)
		check(t, err)
		if code := reply.Header.Get("Nats-Service-Error-Code"); code != codeRejected {
			t.Errorf("%.60q: code %q", data, code)
		}
	}
}

// lines returns random lines, which do not compress well.
func lines(size int) []byte {
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, "%016x%016x\n", rand.Uint64(), rand.Uint64())
	}
	return b.Bytes()
}

// TestPages: an answer that is longer than the server's largest message comes in pages.
func TestPages(t *testing.T) {
	for _, c := range []struct{ payload, size int }{{1 << 20, 4 << 20}, {64 << 10, 1 << 20}, {8 << 10, 256 << 10}, {1 << 20, 0}} {
		conn := connect(t, extratest.Serve(t, &server.Options{MaxPayload: int32(c.payload)}))
		want := lines(c.size)
		start(t, conn, "web1", func(a *Agent) {
			a.answer = func(_ Verb, _ *Question, w io.Writer) (report, error) {
				_, err := w.Write(want)
				return report{notes: slices.Repeat([]string{strings.Repeat("é", maxNote)}, 2*maxNotes)}, err
			}
		})
		answer := ask(t, asker(conn, patience), List, Question{}, "web1")[0]
		if got := text(t, &answer); got != string(want) {
			t.Errorf("payload %d: %d bytes instead of %d", c.payload, len(got), len(want))
		}
		if n := len(answer.Messages); n == 0 || n > maxNotes || !strings.HasPrefix(answer.Messages[n-1], "and more: 40 messages") {
			t.Errorf("payload %d: %d messages, the last is %q", c.payload, n, answer.Messages[max(0, n-1)])
		}
	}
}

// TestTooLong: an answer that is too long is an error, and so is a host with too many
// questions waiting.
func TestTooLong(t *testing.T) {
	conn := connect(t, extratest.Serve(t, nil))
	start(t, conn, "long", func(a *Agent) {
		a.answer = func(_ Verb, _ *Question, w io.Writer) (report, error) {
			block := make([]byte, 1<<20)
			for {
				if _, err := w.Write(block); err != nil {
					return report{}, err
				}
			}
		}
	})
	answer := ask(t, asker(conn, patience), List, Question{}, "long")[0]
	if answer.Err == nil || !strings.Contains(answer.Err.Error(), "its answer is longer than 64 MiB") {
		t.Error(answer.Err)
	}
}

// TestBusy: an agent answers two questions at a time, lets 30 wait, and refuses more.
func TestBusy(t *testing.T) {
	conn := connect(t, extratest.Serve(t, nil))
	gate := make(chan struct{})
	start(t, conn, "web1", func(a *Agent) {
		a.answer = func(Verb, *Question, io.Writer) (report, error) {
			<-gate
			return report{}, nil
		}
	})
	const n = maxRunning + maxWaiting
	results := make(chan error, n+1)
	for range n + 1 {
		go func() {
			for answer := range asker(conn, patience).Run(context.Background(), []string{"web1"}, List, Question{}) {
				results <- answer.Err
			}
		}()
	}
	if err := <-results; err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("the first result is %v", err)
	}
	close(gate)
	for range n {
		check(t, <-results)
	}
}

// TestCancel: a done context ends a wait, and so does the end of the loop.
func TestCancel(t *testing.T) {
	conn := connect(t, extratest.Serve(t, nil))
	asked, err := conn.SubscribeSync("gipc.*.ls") // agents that never answer
	check(t, err)
	hosts := make([]string, 200)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("web%d", i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = asked.NextMsg(patience)
		cancel()
	}()
	n := 0
	for answer := range asker(conn, patience).Run(ctx, hosts, List, Question{}) {
		if n++; !errors.Is(answer.Err, context.Canceled) {
			t.Errorf("%s: %v", answer.Host, answer.Err)
		}
	}
	if n != len(hosts) {
		t.Errorf("%d of %d answers", n, len(hosts))
	}
	start(t, conn, "quick", nil)
	for range asker(conn, patience).Run(context.Background(), append([]string{"quick"}, hosts...), Limits, Question{}) {
		break
	}
	if _, err := Discover(ctx, conn, patience); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestDiscover: the hosts that are there are found, each once, and two agents with one name
// are told.
func TestDiscover(t *testing.T) {
	s := extratest.Serve(t, nil)
	conn := connect(t, s)
	none, err := Discover(t.Context(), conn, patience)
	if err != nil || none.Hosts != nil {
		t.Errorf("%v, %v", none, err)
	}
	for _, host := range []string{"web2", "web1", "web2", "web3.example.com"} {
		start(t, connect(t, s), host, nil)
	}
	// Someone with a login of an agent says that it is a host that no subject can have.
	sub, err := conn.Subscribe("$SRV.PING."+Service, func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"name":"gipcs-agent","id":"x","metadata":{"host":"a b"}}`))
	})
	check(t, err)
	defer func() { check(t, sub.Unsubscribe()) }()
	all, err := Discover(t.Context(), conn, time.Second)
	check(t, err)
	if want := []string{"web1", "web2", "web3.example.com"}; !slices.Equal(all.Hosts, want) || !slices.Equal(all.Twice, want[1:2]) {
		t.Errorf("%v", all)
	}
	answer := ask(t, asker(conn, patience), Limits, Question{}, "web2")[0]
	if answer.Err != nil && !strings.Contains(answer.Err.Error(), "two agents answer for it") {
		t.Errorf("two agents: %v", answer.Err)
	}
}

// TestLogin: an agent whose connection the server ends says so.
func TestLogin(t *testing.T) {
	conn := connect(t, extratest.Serve(t, nil))
	a, err := NewAgent("web1", slog.New(slog.DiscardHandler))
	check(t, err)
	ready := &signal{make(chan struct{}, 1)}
	a.Log = slog.New(slog.NewTextHandler(ready, nil))
	go func() { <-ready.said; conn.Close() }()
	if err := a.Serve(t.Context(), conn); err == nil || !strings.Contains(cmp.Or(err, errors.New("")).Error(), "the connection is closed") {
		t.Error(err)
	}
}

func TestCheckHost(t *testing.T) {
	for _, host := range []string{"web1", "web-1.example.com", "db_1", "W"} {
		check(t, CheckHost(host))
	}
	for _, host := range []string{"", "a b", "a*", ">", "-x", ".x", "wéb", "a@b", "a/b", "a%2Eb", "a\n", strings.Repeat("a", 254)} {
		if CheckHost(host) == nil {
			t.Errorf("%q is accepted", host)
		}
	}
	if got := Subject("web1.example.com", List); got != "gipc.web1%2Eexample%2Ecom.ls" {
		t.Error(got)
	}
}
