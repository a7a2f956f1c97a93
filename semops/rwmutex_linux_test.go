package semops_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// The semaphores of an RWMutex that begins at 0.
const (
	rwTurn = iota
	rwDirty
	rwReaders
)

func newRWMutex(t testing.TB, set sysv.Set) *semops.RWMutex {
	t.Helper()
	rw, err := semops.NewRWMutex(set, 0)
	must(t, err)
	return rw
}

func TestRWMutex(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	rw, ctx := newRWMutex(t, w.set), within(t)
	tries := func(read, write bool) {
		t.Helper()
		if ok, err := rw.TryRLock(); ok != read || err != nil {
			t.Fatalf("TryRLock = %v, %v; want %v", ok, err, read)
		} else if ok {
			must(t, rw.RUnlock())
		}
		if ok, err := tryLock(rw); ok != write || err != nil {
			t.Fatalf("TryLock = %v, %v; want %v", ok, err, write)
		} else if ok {
			must(t, rw.Unlock())
		}
	}
	tries(true, true)
	mustBe(t, rw.Unlock(), semops.ErrNotHeld)
	mustBe(t, rw.RUnlock(), semops.ErrNotHeld)

	must(t, rw.RLock(ctx))
	must(t, rw.RLock(ctx))
	mustBe(t, rw.Unlock(), semops.ErrNotHeld)
	tries(true, false)
	writing := run(func() error { return lock(rw, ctx) })
	w.asleepZero(rwReaders, 1)
	tries(false, false) // the writer comes first
	reading := run(func() error { return rw.RLock(ctx) })
	w.asleep(rwTurn, 1)
	must(t, rw.RUnlock())
	pending(t, writing)
	must(t, rw.RUnlock())
	must(t, result(t, writing))
	pending(t, reading)
	tries(false, false)
	mustBe(t, rw.RUnlock(), semops.ErrNotHeld)
	must(t, rw.Unlock())
	must(t, result(t, reading))
	tries(true, false)
	must(t, rw.RUnlock())
	tries(true, true)
	if got := w.values(); !slices.Equal(got, semops.RWMutexValues()) {
		t.Errorf("values %v", got)
	}
}

// Waiting writers and readers are served in order of arrival, and consecutive readers
// together.
func TestRWMutexOrder(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	rw, ctx := newRWMutex(t, w.set), within(t)
	must(t, lock(rw, ctx))
	r1 := run(func() error { return rw.RLock(ctx) })
	w.asleep(rwTurn, 1)
	r2 := run(func() error { return rw.RLock(ctx) })
	w.asleep(rwTurn, 2)
	w1 := run(func() error { return lock(rw, ctx) })
	w.asleep(rwTurn, 3)
	r3 := run(func() error { return rw.RLock(ctx) })
	w.asleep(rwTurn, 4)
	must(t, rw.Unlock())
	must(t, result(t, r1))
	must(t, result(t, r2))
	w.asleepZero(rwReaders, 1)
	pending(t, w1)
	must(t, rw.RUnlock())
	must(t, rw.RUnlock())
	must(t, result(t, w1))
	pending(t, r3)
	must(t, rw.Unlock())
	must(t, result(t, r3))
	must(t, rw.RUnlock())
}

func TestRWMutexCancel(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	rw := newRWMutex(t, w.set)
	background := within(t)
	cancelled := func(asleep func(), f func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		waiting := run(func() error { return f(ctx) })
		asleep()
		cancel()
		mustBe(t, result(t, waiting), context.Canceled)
	}
	must(t, rw.RLock(background))
	cancelled(func() { w.asleepZero(rwReaders, 1) }, func(ctx context.Context) error { return lock(rw, ctx) })
	must(t, rw.RUnlock())
	must(t, lock(rw, background))
	cancelled(func() { w.asleep(rwTurn, 1) }, func(ctx context.Context) error { return lock(rw, ctx) })
	cancelled(func() { w.asleep(rwTurn, 1) }, rw.RLock)
	must(t, rw.Unlock())
	if got := w.values(); !slices.Equal(got, semops.RWMutexValues()) {
		t.Errorf("values %v", got)
	}
}

func TestRWMutexDeaths(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	rw := newRWMutex(t, w.set)
	readersDie(t, w, rw)
	writersDie(t, w, rw)
	writerDiesForGood(t, w, rw)
}

// readersDie kills readers and waiters. Their deaths leave nothing to repair.
func readersDie(t *testing.T, w *world, rw *semops.RWMutex) {
	ctx := within(t)
	c := w.start("rhold")
	c.line(t)
	writing := run(func() error { return lock(rw, ctx) })
	w.asleepZero(rwReaders, 1)
	c.kill()
	must(t, result(t, writing))
	must(t, rw.Unlock())

	// A writer that waits for readers dies. A reader that waits for that writer goes on.
	must(t, rw.RLock(ctx))
	c = w.start("whold")
	w.asleepZero(rwReaders, 1)
	reading := run(func() error { return rw.RLock(ctx) })
	w.asleep(rwTurn, 1)
	pending(t, reading)
	c.kill()
	must(t, result(t, reading))
	must(t, rw.RUnlock())
	must(t, rw.RUnlock())
}

// writersDie kills a writer while it writes. The processes that wait for it are told, and
// one of them repairs the state.
func writersDie(t *testing.T, w *world, rw *semops.RWMutex) {
	ctx := within(t)
	for range 2 {
		c := w.start("whold")
		c.line(t)
		reading := run(func() error { return rw.RLock(ctx) })
		w.asleep(rwTurn, 1)
		began := time.Now()
		c.kill()
		mustBe(t, result(t, reading), semops.ErrInconsistent)
		t.Logf("told %v after the kill", time.Since(began))
	}
	if ok, err := rw.TryRLock(); ok || err != semops.ErrInconsistent {
		t.Errorf("TryRLock = %v, %v", ok, err)
	}
	mustBe(t, rw.RUnlock(), semops.ErrNotHeld)
	if ok, err := tryLock(rw); !ok || err != errOwnerDied {
		t.Fatalf("TryLock = %v, %v", ok, err)
	}
	must(t, rw.MarkConsistent())
	must(t, rw.Unlock())
	must(t, rw.RLock(ctx))
	must(t, rw.RUnlock())
}

// writerDiesForGood kills a writer, and nobody repairs the state.
func writerDiesForGood(t *testing.T, w *world, rw *semops.RWMutex) {
	ctx := within(t)
	c := w.start("whold")
	c.line(t)
	c.kill()
	mustBe(t, lock(rw, ctx), errOwnerDied)
	var waiting []<-chan error
	for i := range 4 {
		f := rw.RLock
		if i%2 == 1 {
			f = func(ctx context.Context) error { return lock(rw, ctx) }
		}
		waiting = append(waiting, run(func() error { return f(ctx) }))
	}
	w.asleep(rwTurn, 4)
	must(t, rw.Unlock())
	for _, w := range waiting {
		mustBe(t, result(t, w), semops.ErrNotRecoverable)
	}
	mustBe(t, rw.RLock(ctx), semops.ErrNotRecoverable)
	if ok, err := tryLock(rw); ok || err != semops.ErrNotRecoverable {
		t.Errorf("TryLock = %v, %v", ok, err)
	}
	if got, want := w.values(), []uint16{1, 32767, 0}; !slices.Equal(got, want) {
		t.Errorf("values %v; want %v", got, want)
	}
}

// While a writer waits for its turn, no reader that came later gets in, however many there
// are.
func TestRWMutexWriterNotStarved(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	rw, ctx := newRWMutex(t, w.set), within(t)
	var writer atomic.Int64 // odd: a writer has the turn and has not written
	var overtaken, reads atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	read := func() error {
		before := writer.Load()
		if err := rw.RLock(ctx); err != nil {
			return err
		}
		if before%2 == 1 && writer.Load() == before {
			overtaken.Add(1)
		}
		reads.Add(1)
		time.Sleep(10 * time.Microsecond) // so that their times overlap
		return rw.RUnlock()
	}
	for range 6 {
		wg.Go(func() {
			for !stop.Load() {
				if err := read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range times(200) {
		writing := run(func() error {
			err := lock(rw, ctx)
			if err == nil && writer.Load()%2 == 1 {
				writer.Add(1)
			}
			return err
		})
		eventually(t, "the writer's turn", func() bool {
			turn, err := w.set.Value(rwTurn)
			must(t, err)
			return turn == 0
		})
		if dirty, err := w.set.Value(rwDirty); err == nil && dirty == 0 {
			writer.Add(1) // it may be done by now; then the count stays odd until the next
		}
		must(t, result(t, writing))
		if writer.Load()%2 == 1 {
			writer.Add(1)
		}
		must(t, rw.Unlock())
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d reads beside the writers", reads.Load())
	if n := overtaken.Load(); n > 0 {
		t.Errorf("readers overtook a waiting writer %d times", n)
	}
}

// Readers and writers are killed at random points.
func TestRWMutexKilled(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	names := []string{"rwriter", "rwriter", "rreader", "rreader"}
	children := make([]*child, len(names))
	for i, name := range names {
		children[i] = w.start(name)
	}
	for range ipctest.Rounds(t, 200, 1) {
		i := rand.IntN(len(children))
		before := w.page.rounds.Load()
		eventually(t, "progress", func() bool { return w.page.rounds.Load() > before })
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		children[i].kill()
		w.checkFault()
		children[i] = w.start(names[i])
	}
	w.page.stop.Store(true)
	for _, c := range children {
		must(t, c.wait())
	}
	w.checkFault()
	t.Logf("%d writes, %d reads, told %d times", w.page.rounds.Load(), w.page.readers.Load(), w.page.told.Load())
	if !testing.Short() && (w.page.told.Load() == 0 || w.page.readers.Load() == 0) {
		t.Error("nobody was told, or nobody read")
	}
	got := w.values()
	if got[rwDirty] > 0 { // the last one killed was a writer
		rw := newRWMutex(t, w.set)
		mustBe(t, lock(rw, within(t)), errOwnerDied)
		must(t, rw.MarkConsistent())
		must(t, rw.Unlock())
		got = w.values()
	}
	if !slices.Equal(got, semops.RWMutexValues()) {
		t.Errorf("values %v at the end", got)
	}
}

func TestNewRWMutexErrors(t *testing.T) {
	w := newWorld(t, []uint16{0, 0, 0})
	_, err := semops.NewRWMutex(w.set, 0)
	mustBe(t, err, sysv.ErrUninitialized)
	for _, first := range []int{-1, 1, 3, 65534} {
		if _, err := semops.NewRWMutex(w.set, first); err == nil {
			t.Errorf("NewRWMutex at %d succeeded", first)
		}
	}
}

func TestRWMutexReset(t *testing.T) {
	w := newWorld(t, semops.RWMutexValues())
	rw := newRWMutex(t, w.set)
	must(t, rw.RLock(within(t)))
	must(t, w.set.SetValues(semops.RWMutexValues()))
	mustBe(t, rw.RUnlock(), semops.ErrNotHeld)
	must(t, rw.RLock(within(t)))
	must(t, w.set.Remove())
	mustBe(t, rw.RUnlock(), unix.EINVAL)
}
