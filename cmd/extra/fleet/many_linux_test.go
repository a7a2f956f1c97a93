package fleet

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/internal/ipctest"
)

// TestMany asks 10 agents, or 200 in a soak, for 500 objects each. One is silent, one says
// that it is another host, and one has an older version: each is told, and all others answer
// completely.
func TestMany(t *testing.T) {
	const objects = 500
	agents := 10
	if ipctest.Soaking() {
		agents = 200
	}
	segments(t, objects)
	s := extratest.Serve(t, nil)
	hosts := make([]string, agents)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("web%03d.example.com", i)
		conn := connect(t, s)
		switch i {
		case agents - 1: // stopped
			_, err := conn.Subscribe(Subject(hosts[i], List), func(*nats.Msg) {})
			check(t, err)
		case 1: // a liar, with the login of the first
			_, err := conn.Subscribe(Subject(hosts[i], List), func(m *nats.Msg) {
				_ = m.RespondMsg(page(hosts[0], "a", 1, packed("{}\n"), headerStatus, "0"))
			})
			check(t, err)
		case 2:
			start(t, conn, hosts[i], func(a *Agent) { a.version = "0.0.1" })
		default:
			start(t, conn, hosts[i], nil)
		}
	}
	const timeout = 2 * time.Second
	a := asker(connect(t, s), timeout)
	began := time.Now()
	var took time.Duration // until the last answer
	lines, failed, older := 0, 0, 0
	for answer := range a.Run(t.Context(), hosts, List, Question{Columns: []string{"kind", "id", "key", "owner", "mode", "size", "nattch", "status", "age"}}) {
		if answer.Err != nil {
			failed++
			t.Log(answer.Host, answer.Err)
			continue
		}
		if answer.Version == "0.0.1" {
			older++
		}
		for _, err := range answer.Lines() {
			check(t, err)
			lines++
		}
		took = time.Since(began)
	}
	if want := (agents - 2) * objects; lines != want || failed != 2 || older != 1 {
		t.Errorf("%d objects of %d, %d hosts failed, %d are older", lines, want, failed, older)
	}
	t.Logf("%d objects of %d hosts in %v", lines, agents-failed, took)
}

// BenchmarkMany asks 200 agents for 100,000 objects, in all.
func BenchmarkMany(b *testing.B) {
	const agents, objects = 200, 500
	segments(b, objects)
	s := extratest.Serve(b, nil)
	hosts := make([]string, agents)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("web%03d", i)
		start(b, connect(b, s), hosts[i], nil)
	}
	a := asker(connect(b, s), patience)
	bytes := 0
	for b.Loop() {
		for answer := range a.Run(b.Context(), hosts, List, Question{Columns: []string{"kind", "id", "key", "owner", "mode", "size", "nattch", "status", "age"}}) {
			check(b, answer.Err)
			bytes += len(answer.packed)
			n, err := io.Copy(io.Discard, answer.Text())
			check(b, err)
			b.SetBytes(n * agents)
		}
	}
	b.ReportMetric(float64(bytes)/float64(b.N)/agents, "packed-B/host")
}
