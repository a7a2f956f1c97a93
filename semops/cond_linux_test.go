package semops_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// The semaphores of a mutex at 0 and a Cond after it.
const (
	condGroup    = 2
	condWaiters0 = 3
	condSignals0 = 5
)

func condValues() []uint16 { return slices.Concat(semops.MutexValues(), semops.CondValues()) }

func newCond(t testing.TB, set sysv.Set) (*semops.Mutex, *semops.Cond) {
	t.Helper()
	mu := newMutex(t, set)
	c, err := semops.NewCond(mu, condGroup)
	must(t, err)
	return mu, c
}

// condWait locks the mutex only for a Wait.
func condWait(ctx context.Context, mu *semops.Mutex, c *semops.Cond) error {
	if err := lock(mu, ctx); err != nil {
		return err
	}
	err := waitFor(c, ctx)
	return errors.Join(err, mu.Unlock())
}

func TestCond(t *testing.T) {
	w := newWorld(t, condValues())
	mu, c := newCond(t, w.set)
	ctx := within(t)
	must(t, c.Signal())
	must(t, c.Broadcast(ctx))
	mustBe(t, waitFor(c, ctx), semops.ErrNotHeld)

	for group := range 4 { // each Broadcast changes the group
		const n = 5
		done := make(chan error, n)
		for range n {
			go func() { done <- condWait(ctx, mu, c) }()
		}
		signals := condSignals0 + group%2
		w.asleep(signals, n)
		pending(t, done)
		for i := range 2 {
			must(t, c.Signal())
			must(t, result(t, done))
			w.asleep(signals, n-1-i)
			pending(t, done)
		}
		must(t, lock(mu, ctx)) // signal with the lock held, too
		must(t, c.Broadcast(ctx))
		pending(t, done)
		must(t, mu.Unlock())
		for range n - 2 {
			must(t, result(t, done))
		}
	}
	got := w.values()
	got[condSignals0], got[condSignals0+1] = 0, 0 // signals of a Broadcast are left
	if !slices.Equal(got, condValues()) {
		t.Errorf("values %v", got)
	}
}

func TestCondCancel(t *testing.T) {
	w := newWorld(t, condValues())
	mu, c := newCond(t, w.set)
	ctx, cancel := context.WithCancel(within(t))
	waiting := run(func() error { return condWait(ctx, mu, c) })
	w.asleep(condSignals0, 1)
	must(t, lock(mu, ctx))
	cancel()
	w.asleep(0, 1) // Wait needs the lock to return
	pending(t, waiting)
	must(t, mu.Unlock())
	mustBe(t, result(t, waiting), context.Canceled)
	must(t, c.Signal()) // to nobody
	if got := w.values(); !slices.Equal(got, condValues()) {
		t.Errorf("values %v", got)
	}
}

func TestCondMutexStates(t *testing.T) {
	w := newWorld(t, condValues())
	mu, c := newCond(t, w.set)
	ctx := within(t)
	child := w.start("hold")
	child.line(t)
	child.kill()
	mustBe(t, lock(mu, ctx), errOwnerDied)
	mustBe(t, waitFor(c, ctx), semops.ErrInconsistent)
	must(t, mu.MarkConsistent())

	waiting := run(func() error { return waitFor(c, ctx) })
	w.asleep(condSignals0, 1)
	child = w.start("hold")
	child.line(t)
	must(t, c.Signal())
	w.asleep(0, 1)
	child.kill()
	mustBe(t, result(t, waiting), errOwnerDied)
	must(t, mu.MarkConsistent())
	must(t, mu.Unlock())

	must(t, lock(mu, ctx))
	must(t, w.set.SetValues(condValues()))
	mustBe(t, waitFor(c, ctx), semops.ErrNotHeld)

	must(t, lock(mu, ctx))
	waiting = run(func() error { return waitFor(c, ctx) })
	w.asleep(condSignals0, 1)
	must(t, w.set.Remove())
	mustBe(t, result(t, waiting), unix.EIDRM)
}

// Waiters that are counted but not yet asleep also get their signals. Here the test itself
// performs the steps of Wait.
func TestCondNotAsleepYet(t *testing.T) {
	w := newWorld(t, condValues())
	_, c := newCond(t, w.set)
	ctx := within(t)
	do := func(ops ...sysv.Op) {
		t.Helper()
		if ok, err := w.set.TryDo(ops...); !ok || err != nil {
			t.Fatalf("%+v: %v, %v", ops, ok, err)
		}
	}
	do(sysv.Op{Num: 3, Add: 2}) // two waiters in group 0
	for i, want := range []uint16{1, 2, 2} {
		must(t, c.Signal())
		if got := w.values()[condSignals0]; got != want {
			t.Fatalf("%d signals after Signal %d; want %d", got, i+1, want)
		}
	}
	must(t, c.Broadcast(ctx))
	do(sysv.Op{Num: 2, Add: -1}, sysv.Op{Num: 2, Add: 1}) // new waiters join group 1
	do(sysv.Op{Num: 4, Add: 1})
	must(t, c.Signal())
	if got := w.values()[condSignals0+1]; got != 1 {
		t.Fatalf("%d signals in group 1; want 1", got)
	}
	// Group 0 cannot be used again before its last waiter has gone.
	do(sysv.Op{Num: 5, Add: -1}, sysv.Op{Num: 3, Add: -1})
	broadcast := run(func() error { return c.Broadcast(ctx) })
	w.asleepZero(condWaiters0, 1)
	pending(t, broadcast)
	do(sysv.Op{Num: 2, Add: -1}, sysv.Op{Num: 2, Add: 1})
	do(sysv.Op{Num: 5, Add: -1}, sysv.Op{Num: 3, Add: -1})
	must(t, result(t, broadcast))
	do(sysv.Op{Num: 2})
	if got := w.values()[condSignals0]; got != 0 {
		t.Errorf("%d signals are left to the new group; want none", got)
	}
}

// A killed waiter takes no signal with it.
func TestCondWaiterKilled(t *testing.T) {
	w := newWorld(t, condValues())
	mu, c := newCond(t, w.set)
	ctx := within(t)
	child := w.start("condwait")
	w.asleep(condSignals0, 1)
	waiting := run(func() error { return condWait(ctx, mu, c) })
	w.asleep(condSignals0, 2)
	child.kill()
	if got := w.values()[condWaiters0]; got != 1 {
		t.Errorf("%d waiters are counted; want 1", got)
	}
	must(t, c.Signal())
	must(t, result(t, waiting))
	must(t, c.Signal())
	if got := w.values(); !slices.Equal(got, condValues()) {
		t.Errorf("values %v", got)
	}
}

// Everyone who waits when Broadcast is called gets through, though others begin to wait,
// and waits are cancelled, at the same time. A broadcaster waits until all of a generation
// have seen the next one.
func TestCondBroadcastStorm(t *testing.T) {
	mu, c := newCond(t, newWorld(t, condValues()).set)
	s := generations{mu: mu, c: c, rounds: int64(times(300))}
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range s.seen {
		wg.Go(func() {
			if err := s.wait(ctx, i); err != nil {
				t.Error(err)
			}
		})
	}
	for next := int64(1); next <= s.rounds; next++ {
		for range rand.IntN(20) {
			dally()
		}
		must(t, lock(mu, ctx))
		s.generation = next
		if next%2 == 0 {
			must(t, c.Broadcast(ctx))
		}
		must(t, mu.Unlock())
		if next%2 == 1 {
			must(t, c.Broadcast(ctx))
		}
		for i := range s.seen {
			eventually(t, "a waiter", func() bool { return s.seen[i].Load() >= next })
		}
	}
	wg.Wait()
	t.Logf("%d waits cancelled", s.cancelled.Load())
	if s.cancelled.Load() == 0 && !testing.Short() {
		t.Error("no wait was cancelled")
	}
}

// generations holds waiters that wait for one generation after another.
type generations struct {
	mu         *semops.Mutex
	c          *semops.Cond
	generation int64 // guarded by mu
	rounds     int64
	seen       [4]atomic.Int64 // the last generation, by waiter
	cancelled  atomic.Int64
}

// wait waits for all generations as waiter i. Half of the waiters give up at random times.
// The others never do, so they must be woken.
func (s *generations) wait(ctx context.Context, i int) error {
	for mine := int64(1); mine <= s.rounds; mine++ {
		if err := lock(s.mu, ctx); err != nil {
			return err
		}
		for s.generation < mine {
			short, cancel := context.WithCancel(ctx)
			if i%2 == 0 {
				short, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(200))*time.Microsecond)
			}
			err := waitFor(s.c, short)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				s.cancelled.Add(1)
			} else if err != nil {
				return err
			}
		}
		s.seen[i].Store(mine)
		if err := s.mu.Unlock(); err != nil {
			return err
		}
	}
	return nil
}

// Two processes with several goroutines each pass items on, with one signal for each item.
func TestCondQueue(t *testing.T) {
	w := newWorld(t, condValues())
	var children []*child
	for range 2 {
		children = append(children, w.start("condconsumer"))
	}
	mu, c := newCond(t, w.set)
	ctx := within(t)
	items := int64(times(5000))
	for range items {
		must(t, lock(mu, ctx))
		w.page.plain++
		must(t, mu.Unlock())
		must(t, c.Signal())
	}
	eventually(t, "all items", func() bool { return w.page.rounds.Load() == items })
	must(t, lock(mu, ctx))
	w.page.stop.Store(true)
	must(t, c.Broadcast(ctx))
	must(t, mu.Unlock())
	for _, c := range children {
		must(t, c.wait())
	}
	if w.page.plain != 0 || w.page.rounds.Load() != items {
		t.Errorf("%d items are left, %d were taken", w.page.plain, w.page.rounds.Load())
	}
}

// Waiters are killed at random points. The others still get signals.
func TestCondKilled(t *testing.T) {
	w := newWorld(t, condValues())
	children := []*child{w.start("condconsumer"), w.start("condconsumer")}
	mu, c := newCond(t, w.set)
	ctx := within(t)
	stop := make(chan bool)
	put := run(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			err := lock(mu, ctx)
			if errors.Is(err, errOwnerDied) {
				err = mu.MarkConsistent()
			}
			if err != nil {
				return err
			}
			if w.page.plain < 10 {
				w.page.plain++
			}
			if err := errors.Join(mu.Unlock(), c.Signal()); err != nil {
				return err
			}
			time.Sleep(20 * time.Microsecond) // so that they do wait
		}
	})
	for i := range ipctest.Rounds(t, 100, 1) {
		before := w.page.rounds.Load()
		eventually(t, "items", func() bool { return w.page.rounds.Load() > before+5 })
		children[i%2].kill()
		children[i%2] = w.start("condconsumer")
		if i%10 == 0 {
			must(t, c.Broadcast(ctx))
		}
	}
	before := w.page.rounds.Load()
	eventually(t, "items", func() bool { return w.page.rounds.Load() > before+5 })
	close(stop)
	must(t, result(t, put))
	for _, c := range children {
		c.kill()
	}
	got := w.values()
	if got[condWaiters0] != 0 || got[condWaiters0+1] != 0 {
		t.Errorf("waiters are counted who are dead: %v", got)
	}
}

func TestNewCondErrors(t *testing.T) {
	w := newWorld(t, condValues())
	mu := newMutex(t, w.set)
	for _, first := range []int{-1, 0, 1, 3, 7, 65535} {
		if _, err := semops.NewCond(mu, first); err == nil {
			t.Errorf("NewCond at %d succeeded", first)
		}
	}
}

// TestNeitherBit checks that a phase or group other than 0 or 1 is an error: the
// semaphores belong to another primitive.
func TestNeitherBit(t *testing.T) {
	const want = "semaphore 2 is 5, and should be 0 or 1"
	w := newWorld(t, slices.Concat(semops.MutexValues(), []uint16{5, 0, 0, 0, 0}))
	mu, c := newCond(t, w.set)
	must(t, lock(mu, t.Context()))
	for call, err := range map[string]error{"Wait": waitFor(c, t.Context()), "Signal": c.Signal(), "Broadcast": c.Broadcast(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", call, err, want)
		}
	}
	must(t, mu.Unlock()) // Wait has not given it up
}
