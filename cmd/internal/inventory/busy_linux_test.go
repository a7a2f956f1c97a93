package inventory

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// busy is a program that uses a queue of its own.
type busy struct {
	what          string
	interval      int // us
	pid, queue    int
	waited, mayBe int
}

// isOne reports whether a process is the program, or may be one of its workers. These have
// its name, and come and go.
func (b *busy) isOne(p *Process) bool {
	return p.PID == b.pid || b.what == "workers" && (p.Comm == "busy" || p.Comm == "")
}

// TestBusyPrograms looks many times at programs that wait on a queue, except while they
// handle a signal or hand over to another process. Each look must find a process that waits
// or may wait.
func TestBusyPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may look into everybody, so that nobody is hidden at first")
	}
	program := ipctest.Compile(t, "testdata/busy.c", "-pthread")
	programs := []busy{
		{what: "msg", interval: 1000},
		{what: "msg", interval: 100},
		{what: "thread", interval: 1000},
		{what: "thread", interval: 100},
		{what: "sleepy", interval: 1000},
		{what: "workers", interval: 2000},
	}
	for i := range programs {
		b := &programs[i]
		b.queue = int(createQueue(t, sysv.Private, 0o600))
		p := ipctest.Run(t, program, words([]any{b.what, b.queue, b.interval})...)
		defer p.Kill()
		b.pid = p.PID()
		p.Line()
	}
	const (
		rounds = 600 // of a look at each of them
		enough = 15 * time.Second
	)
	began := time.Now()
	for round := range ipctest.Rounds(t, rounds, 0) {
		if !ipctest.Soaking() && time.Since(began) > enough { // the machine is busy as well
			break
		}
		inv := collectAll(t, Options{Kinds: []ref.Kind{ref.Msg}, Want: WantWaiting})
		for i := range programs {
			b := &programs[i]
			switch {
			case len(find(t, inv, ref.Msg, b.queue).Use.Waiting) > 0:
				b.waited++
			case inv.Hidden.Fleeting || slices.ContainsFunc(inv.Hidden.Processes, func(h HiddenProcess) bool { return b.isOne(h.Process) }):
				b.mayBe++
			default:
				t.Fatalf("%s, %d us: in look %d nobody waits; %v", b.what, b.interval, round, &inv.Hidden)
			}
		}
	}
	for _, b := range programs {
		t.Logf("%s, %d us: waits in %d looks, may wait in %d", b.what, b.interval, b.waited, b.mayBe)
	}
}

// TestBusyElsewhere: a program that only computes is not taken for one that may wait.
func TestBusyElsewhere(t *testing.T) {
	program := ipctest.Compile(t, "testdata/busy.c", "-pthread")
	queue := createQueue(t, sysv.Private, 0o600)
	p := ipctest.Run(t, program, words([]any{"compute", int(queue), 0})...)
	p.Line()
	// On a busy machine it may be off the processor for the whole of one look.
	await(t, Options{Kinds: []ref.Kind{ref.Msg}, Want: WantWaiting}, func(inv *Inventory) bool {
		return !slices.ContainsFunc(inv.Hidden.Processes, func(h HiddenProcess) bool { return h.PID == p.PID() })
	})
	p.Kill()
}
