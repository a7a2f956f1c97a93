package semops_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

func TestMutex(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu, ctx := newMutex(t, w.set), within(t)

	mustBe(t, mu.Unlock(), semops.ErrNotHeld)
	mustBe(t, mu.MarkConsistent(), semops.ErrNotHeld)
	must(t, lock(mu, ctx))
	must(t, mu.MarkConsistent())
	if ok, err := tryLock(mu); ok || err != nil {
		t.Fatalf("TryLock of a held lock = %v, %v", ok, err)
	}
	other := newMutex(t, w.set)
	mustBe(t, other.Unlock(), semops.ErrNotHeld)
	mustBe(t, other.MarkConsistent(), semops.ErrNotHeld)
	if pid, err := mu.Holder(); pid != unix.Getpid() || err != nil {
		t.Errorf("Holder = %d, %v", pid, err)
	}
	waiting := run(func() error { return lock(other, ctx) })
	w.asleep(0, 1)
	pending(t, waiting)
	must(t, mu.Unlock())
	must(t, result(t, waiting))
	mustBe(t, mu.Unlock(), semops.ErrNotHeld)
	must(t, other.Unlock())
	if pid, err := mu.Holder(); pid != 0 || err != nil {
		t.Errorf("Holder of a free lock = %d, %v", pid, err)
	}
	if ok, err := tryLock(mu); !ok || err != nil {
		t.Fatalf("TryLock of a free lock = %v, %v", ok, err)
	}
	must(t, mu.Unlock())
	if got := w.values(); !slices.Equal(got, semops.MutexValues()) {
		t.Errorf("values %v", got)
	}
}

func TestMutexReset(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu := newMutex(t, w.set)
	for _, values := range [][]uint16{{1, 0}, {1, 1}} {
		must(t, w.set.SetValues(semops.MutexValues()))
		must(t, lock(mu, within(t)))
		must(t, w.set.SetValues(values))
		mustBe(t, mu.Unlock(), semops.ErrNotHeld)
		if got := w.values(); !slices.Equal(got, values) {
			t.Errorf("values %v; want %v", got, values)
		}
	}
}

func TestNewMutexErrors(t *testing.T) {
	w := newWorld(t, []uint16{0, 0})
	_, err := semops.NewMutex(w.set, 0, 1)
	mustBe(t, err, sysv.ErrUninitialized)
	// The check did not make the set look initialised.
	if info, err := w.set.Stat(); err != nil || !info.OTime.IsZero() {
		t.Errorf("the last semop was at %v, %v; want none", info.OTime, err)
	}
	for _, nums := range [][2]int{{0, 0}, {0, 2}, {2, 0}, {-1, 0}, {0, -1}, {0, 65536}} {
		if _, err := semops.NewMutex(w.set, nums[0], nums[1]); err == nil {
			t.Errorf("NewMutex of %v succeeded", nums)
		}
	}
	_, err = semops.NewMutex(1<<30, 0, 1)
	mustBe(t, err, unix.EINVAL)
}

func TestMutexCancel(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu := newMutex(t, w.set)
	must(t, lock(mu, within(t)))
	ctx, cancel := context.WithCancel(context.Background())
	waiting := run(func() error { return lock(mu, ctx) })
	w.asleep(0, 1)
	cancel()
	mustBe(t, result(t, waiting), context.Canceled)
	must(t, mu.Unlock())
	mustBe(t, lock(mu, ctx), context.Canceled) // although the lock is free
	if got := w.values(); !slices.Equal(got, semops.MutexValues()) {
		t.Errorf("values %v", got)
	}
}

func TestMutexOwnerDied(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu, ctx := newMutex(t, w.set), within(t)

	for range 3 { // several holders in a row that were told of a death and died
		c := w.start("hold")
		c.line(t)
		c.kill()
	}
	c := w.start("hold")
	if got, want := c.line(t), errOwnerDied.Error(); got != want {
		t.Fatalf("second Lock: %s; want %s", got, want)
	}
	if pid, err := mu.Holder(); pid != c.cmd.Process.Pid || err != nil {
		t.Errorf("Holder = %d, %v; want %d", pid, err, c.cmd.Process.Pid)
	}
	waiting := run(func() error { return lock(mu, ctx) })
	w.asleep(0, 1)
	began := time.Now()
	c.kill()
	mustBe(t, result(t, waiting), errOwnerDied)
	t.Logf("told %v after the kill", time.Since(began))
	if ok, err := tryLock(mu); ok || err != nil {
		t.Fatalf("TryLock after a death = %v, %v; want the lock to be held", ok, err)
	}
	must(t, mu.MarkConsistent())
	must(t, mu.Unlock())
	must(t, lock(mu, ctx))
	must(t, mu.Unlock())

	c = w.start("hold")
	c.line(t)
	c.kill()
	if ok, err := tryLock(mu); !ok || err != errOwnerDied {
		t.Fatalf("TryLock after a death = %v, %v", ok, err)
	}
	must(t, mu.MarkConsistent())
	must(t, mu.Unlock())
	if got := w.values(); !slices.Equal(got, semops.MutexValues()) {
		t.Errorf("values %v", got)
	}
}

func TestMutexNotRecoverable(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu, ctx := newMutex(t, w.set), within(t)
	c := w.start("hold")
	c.line(t)
	c.kill()
	mustBe(t, lock(mu, ctx), errOwnerDied)

	var waiting []<-chan error
	for range 3 {
		waiting = append(waiting, run(func() error { return lock(mu, ctx) }))
	}
	w.asleep(0, 3)
	c = w.start("hold")
	w.asleep(0, 4)
	must(t, mu.Unlock())
	for _, w := range waiting {
		mustBe(t, result(t, w), semops.ErrNotRecoverable)
	}
	if got, want := c.line(t), semops.ErrNotRecoverable.Error(); got != want {
		t.Errorf("other process: %s; want %s", got, want)
	}
	c.kill()
	mustBe(t, lock(mu, ctx), semops.ErrNotRecoverable)
	if ok, err := tryLock(mu); ok || err != semops.ErrNotRecoverable {
		t.Errorf("TryLock = %v, %v", ok, err)
	}
	mustBe(t, mu.Unlock(), semops.ErrNotHeld)

	must(t, w.set.SetValues(semops.MutexValues()))
	must(t, lock(mu, ctx))
	must(t, mu.Unlock())
}

// A process that is killed while it waits changes nothing.
func TestMutexWaiterKilled(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu := newMutex(t, w.set)
	must(t, lock(mu, within(t)))
	for range 10 {
		c := w.start("hold")
		w.asleep(0, 1)
		c.kill()
	}
	if got := w.values(); !slices.Equal(got, []uint16{0, 1}) {
		t.Errorf("values %v; want 0 1", got)
	}
	must(t, mu.Unlock())
	must(t, lock(mu, within(t)))
	must(t, mu.Unlock())
}

// Goroutines of several processes count without atomics.
func TestMutexCounter(t *testing.T) {
	const processes = 3
	w := newWorld(t, semops.MutexValues())
	var children []*child
	for range processes {
		children = append(children, w.start("counter"))
	}
	for _, c := range children {
		must(t, c.wait())
	}
	if got, want := w.page.plain, int64(processes*counterGoroutines*counterRounds); got != want {
		t.Errorf("counted to %d; want %d", got, want)
	}
	if got := w.values(); !slices.Equal(got, semops.MutexValues()) {
		t.Errorf("values %v", got)
	}
}

// Signals, cancelled waits and counting goroutines together.
func TestMutexStorm(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu := newMutex(t, w.set)
	end, stop := context.WithCancel(context.Background())
	defer stop()
	go storm(end, unix.Getpid())
	cancelled, want := 0, 0
	var wg sync.WaitGroup
	var sum sync.Mutex
	for range 8 {
		wg.Go(func() {
			gaveUp, counted := 0, 0
			for range times(500) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(100))*time.Microsecond)
				switch err := lock(mu, ctx); {
				case errors.Is(err, context.DeadlineExceeded):
					gaveUp++
				case err != nil:
					t.Error(err)
				default:
					w.page.plain++
					counted++
					dally()
					if err := mu.Unlock(); err != nil {
						t.Error(err)
					}
				}
				cancel()
			}
			sum.Lock()
			defer sum.Unlock()
			cancelled += gaveUp
			want += counted
		})
	}
	wg.Wait()
	t.Logf("%d locks, %d waits cancelled", want, cancelled)
	if cancelled == 0 && !testing.Short() {
		t.Error("no wait was cancelled")
	}
	if w.page.plain != int64(want) {
		t.Errorf("counted to %d; want %d", w.page.plain, want)
	}
	if got := w.values(); !slices.Equal(got, semops.MutexValues()) {
		t.Errorf("values %v", got)
	}
}

// Holders and waiters are killed at random points. The others must neither get stuck nor
// hold the lock together, and must be told if a holder died.
func TestMutexKilled(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	children := make([]*child, 4)
	for i := range children {
		children[i] = w.start("locker")
	}
	diedInside := 0
	for range ipctest.Rounds(t, 300, 1) {
		i := rand.IntN(len(children))
		before := w.page.rounds.Load()
		eventually(t, "progress", func() bool { return w.page.rounds.Load() > before+int64(i) })
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		pid := int64(children[i].cmd.Process.Pid)
		children[i].kill()
		if w.page.owner.Load() == pid {
			diedInside++
		}
		w.checkFault()
		children[i] = w.start("locker")
	}
	w.page.stop.Store(true)
	for _, c := range children {
		must(t, c.wait())
	}
	w.checkFault()
	told := int(w.page.told.Load())
	t.Logf("%d rounds inside, told %d times that an owner died, of which %d were seen to die inside", w.page.rounds.Load(), told, diedInside)
	if told == 0 && !testing.Short() {
		t.Error("nobody was ever told")
	}
	if got := w.values(); !slices.Equal(got, semops.MutexValues()) {
		t.Errorf("values %v at the end", got)
	}
}
