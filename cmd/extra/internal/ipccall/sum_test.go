//go:build linux

package ipccall

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A scene is a sequence of calls at milliseconds of a clock.
type scene struct {
	*Sum
	origin time.Time
}

func (s *scene) at(ms int) time.Time { return s.origin.Add(time.Duration(ms) * time.Millisecond) }

// begin begins a semop of a process with one thread.
func (s *scene) begin(ms, pid int, op int16) *Call {
	c := &Call{PID: pid, TID: pid, Program: string(rune('a' + pid)), Name: "semop", Object: Object{"sem", "5"}, Ops: []Sembuf{{Op: op}}, Waits: op <= 0, Start: s.at(ms)}
	s.Begin(c)
	return c
}

func (s *scene) end(ms int, c *Call, e unix.Errno) {
	c.Duration, c.Done, c.Errno = s.at(ms).Sub(c.Start), true, e
	s.End(c)
}

func newScene() *scene { return &scene{NewSum(), time.Unix(1e9, 0)} }

// TestHolders has a process wait for two holders, one after the other.
func TestHolders(t *testing.T) {
	s := newScene()
	s.end(0, s.begin(0, 1, -1), 0)
	waiter := s.begin(10, 2, -1)
	next := s.begin(20, 3, -1)
	s.end(40, s.begin(40, 1, 1), 0) // 1 gives it back, 3 gets it
	s.end(40, next, 0)
	s.end(90, s.begin(90, 3, 1), 0)
	s.end(91, waiter, 0)
	rows := s.Rows()
	if len(rows) != 1 {
		t.Fatalf("%+v", rows)
	}
	r := rows[0]
	want := []Holder{{Actor{1, "b"}, 50 * time.Millisecond}, {Actor{3, "d"}, 50 * time.Millisecond}}
	if r.Calls != 5 || r.Waits != 3 || r.Waited != 101*time.Millisecond || r.Max != 81*time.Millisecond || !slices.Equal(r.Holders, want) {
		t.Errorf("%+v", r)
	}
	if lines := s.Folded(); !slices.Equal(lines, []string{"b;sem:5[0];semop 0", "c;sem:5[0];semop 81000", "d;sem:5[0];semop 20000"}) {
		t.Errorf("%q", lines)
	}
}

// TestHolderDies charges nobody after the holder has ended.
func TestHolderDies(t *testing.T) {
	s := newScene()
	s.end(0, s.begin(0, 1, -1), 0)
	waiter := s.begin(0, 2, -1)
	s.Exited(1, s.at(30))
	s.end(50, waiter, 0)
	if r := s.Rows()[0]; len(r.Holders) != 1 || r.Holders[0].Held != 30*time.Millisecond || r.Waited != 50*time.Millisecond {
		t.Errorf("%+v", r)
	}
}

// TestLastOn asks once for the holder that nobody saw.
func TestLastOn(t *testing.T) {
	s := newScene()
	asked := 0
	s.LastOn = func(pid int, set Object, semaphore uint16) (Actor, bool) {
		asked++
		return Actor{9, "server"}, pid == 2 && set.Name == "5" && semaphore == 0
	}
	s.end(20, s.begin(0, 2, -1), unix.EAGAIN)
	s.end(50, s.begin(30, 2, -1), 0)
	s.end(90, s.begin(60, 2, -1), 0) // it waits for itself
	if r := s.Rows()[0]; asked != 1 || len(r.Holders) != 1 || r.Holders[0] != (Holder{Actor{9, "server"}, 40 * time.Millisecond}) || r.Errors != 1 {
		t.Errorf("asked %d times, %+v", asked, r)
	}
}

// TestLastOnUnknown does not ask again if the kernel knows nobody.
func TestLastOnUnknown(t *testing.T) {
	s := newScene()
	asked := 0
	s.LastOn = func(int, Object, uint16) (Actor, bool) { asked++; return Actor{}, false }
	for ms := range 3 {
		s.end(ms+1, s.begin(ms, 2, -1), unix.EAGAIN)
	}
	if r := s.Rows()[0]; asked != 1 || len(r.Holders) != 0 {
		t.Errorf("asked %d times, %+v", asked, r)
	}
}

// TestInterrupted adds up the parts of a wait.
func TestInterrupted(t *testing.T) {
	s := newScene()
	s.end(10, s.begin(0, 1, -1), unix.EINTR)
	s.end(25, s.begin(20, 1, -1), 514) // ERESTARTNOHAND
	s.end(40, s.begin(30, 1, -1), 0)
	s.end(60, s.begin(50, 1, -1), unix.EINTR) // not continued
	s.ThreadExited(1)
	if r := s.Rows()[0]; r.Calls != 4 || r.Errors != 2 || r.Waits != 2 || r.Waited != 35*time.Millisecond || r.Max != 25*time.Millisecond {
		t.Errorf("%+v", r)
	}
}

func TestSemaphores(t *testing.T) {
	for want, ops := range map[string][]Sembuf{
		"": nil, "0": {{}}, "0,1": {{}, {Num: 1}, {Num: 1}}, "7": {{Num: 7, Op: -1}, {Num: 1, Op: 1}}, "1,2": {{Num: 1, Op: 1}, {Num: 2, Op: 1}},
	} {
		if got := (&Call{Ops: ops}).Semaphores(); got != want {
			t.Errorf("%v: %q, want %q", ops, got, want)
		}
	}
}

// TestQuantiles compares quantiles with those of all durations.
func TestQuantiles(t *testing.T) {
	for range 20 {
		var h histogram
		var all []time.Duration
		for range 1 + rand.IntN(2000) {
			d := time.Duration(rand.Int64N(1 << (1 + rand.IntN(40))))
			h.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, share := range []float64{0, 0.5, 0.99} {
			got, want := h.quantile(share), all[int(share*float64(len(all)))]
			if got < want || float64(got) > 1.126*float64(want)+1 {
				t.Errorf("%v of %d: %v, want %v", share, len(all), got, want)
			}
		}
		if h.most != all[len(all)-1] || h.quantile(1) != h.most {
			t.Errorf("the longest is %v, want %v", h.most, all[len(all)-1])
		}
	}
	for d := range time.Duration(100000) {
		if c := classOf(d); upper(c) < d || c > 0 && upper(c-1) >= d {
			t.Fatalf("%d is in class %d, up to %d", d, c, upper(c))
		}
	}
	if upper(classOf(1<<62)) < 1<<62 {
		t.Error("too long")
	}
}

// TestManyObjects adds up the calls on more objects than are kept apart.
func TestManyObjects(t *testing.T) {
	s := newScene()
	const n = most + 1000
	for i := range n {
		c := &Call{PID: 1, TID: 1, Program: "p", Name: "semop", Object: identified("sem", uint64(i)), Ops: []Sembuf{{Op: -1}}, Waits: true, Start: s.at(i)}
		s.Begin(c)
		s.end(i+1, c, 0)
	}
	var calls, waits int
	rows := s.Rows()
	for _, r := range rows {
		calls += r.Calls
		waits += r.Waits
	}
	if len(rows) != most+1 || calls != n || waits != n || len(s.sets) > most || len(s.Folded()) != most+1 {
		t.Errorf("%d rows, %d calls, %d waits of %d; %d sets, %d stacks", len(rows), calls, waits, n, len(s.sets), len(s.stacks))
	}
}
