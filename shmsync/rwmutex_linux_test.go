package shmsync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmsync"
)

func openRWMutex(place string) (*shmsync.RWMutex, *page, error) {
	mem, p, err := open(place)
	if err != nil {
		return nil, nil, err
	}
	rw, err := shmsync.NewRWMutex(mem, rwAt)
	return rw, p, err
}

// playRWHold locks for reading or writing, and then does what the test tells it.
func playRWHold(args []string) error {
	rw, _, err := openRWMutex(args[0])
	if err != nil {
		return err
	}
	ctx, unlock := context.Background(), rw.RUnlock
	if args[1] == "read" {
		err = rw.RLock(ctx)
	} else {
		_, err = rw.Lock(ctx)
		unlock = rw.Unlock
	}
	if err != nil {
		return err
	}
	fmt.Println("held")
	switch ipctest.Told() {
	case "exec":
		return unix.Exec("/bin/sleep", []string{"sleep", "60"}, nil)
	case "unlock":
		return errors.Join(unlock(), rw.Close())
	}
	return nil
}

// playRWRace reads and writes again and again, and checks that a writer is alone.
func playRWRace(args []string) error {
	rw, p, err := openRWMutex(args[0])
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	me := uint64(os.Getpid())
	for n := 0; p.stop.Load() == 0; n++ {
		if n%4 == 0 {
			err = rw.With(context.Background(), func(abandoned bool) error {
				before := p.inside.Swap(me)
				switch {
				case abandoned:
					p.told.Add(1)
					p.second = p.plain
				case before != 0 || p.second != p.plain:
					p.fails()
				}
				p.plain++
				p.count[i].n.Add(1)
				p.second++
				if !p.inside.CompareAndSwap(me, 0) {
					p.fails()
				}
				return nil
			})
		} else {
			err = rw.RWith(context.Background(), func() error {
				if p.second != p.plain || p.inside.Load() != 0 {
					p.fails()
				}
				return nil
			})
			if errors.Is(err, shmsync.ErrInconsistent) { // the next writer repairs it
				n, err = -1, nil
			}
		}
		if err != nil {
			return err
		}
	}
	return rw.Close()
}

// TestRWKills kills processes that read and write, at random moments.
func TestRWKills(t *testing.T) {
	w := newWorld(t)
	var children [4]*child
	for i := range children {
		children[i] = w.start(nil, "rwrace", i)
	}
	for round := range ipctest.Rounds(t, 100, 1) {
		i := round % len(children)
		mark := w.page.count[i].n.Load()
		eventually(t, "the child to count", func() bool { return w.page.count[i].n.Load() > mark })
		time.Sleep(time.Duration(round*7919%4000) * time.Microsecond)
		children[i].kill()
		if children[i].said.Len() > 0 {
			t.Fatalf("a child failed: %s", &children[i].said)
		}
		children[i] = w.start(nil, "rwrace", i)
	}
	w.page.stop.Store(1)
	sum := uint64(0)
	for i, c := range children {
		c.wait()
		sum += w.page.count[i].n.Load()
	}
	if line := w.page.fault.Load(); line != 0 {
		t.Fatalf("a process saw a fault at line %d", line)
	}
	if lost := w.page.plain - sum; lost > uint64(w.page.told.Load()) {
		t.Errorf("%d counts under the lock, %d outside, %d deaths told", w.page.plain, sum, w.page.told.Load())
	}
	t.Logf("%d writes, %d deaths of writers", w.page.plain, w.page.told.Load())
	rw := w.rwMutex()
	_, err := rw.Lock(within(t))
	must(t, errors.Join(err, rw.MarkConsistent(), rw.Unlock()))
}

// TestRWDeath ends readers and writers in every kind of place while others wait.
func TestRWDeath(t *testing.T) {
	places := map[string]func(testing.TB, *exec.Cmd){
		"here":           nil,
		"pid namespace":  inNamespaces(unix.CLONE_NEWPID),
		"user namespace": inNamespaces(unix.CLONE_NEWPID | unix.CLONE_NEWUSER),
	}
	for name, where := range places {
		for _, how := range []string{"read", "write"} {
			for _, way := range []string{"kill", "exec", "end"} {
				t.Run(name+"/"+how+"/"+way, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					c := w.start(where, "rwhold", how)
					c.line("held")
					w.rwDies(how == "write", func() {
						if way == "kill" {
							c.signal(unix.SIGKILL)
						} else {
							c.tell(way)
						}
					})
				})
			}
		}
	}
}

// rwDies lets the holder die while this process waits.
func (w *world) rwDies(wrote bool, die func()) {
	t := w.t
	t.Helper()
	rw, reader := w.rwMutex(), w.rwMutex()
	short, cancel := context.WithTimeout(within(t), 3*noticed/2) // long enough for several checks of the holder
	defer cancel()
	if _, err := rw.Lock(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Lock while a living process holds it: %v", err)
	}
	if ok, err := reader.TryRLock(); ok == wrote || err != nil {
		t.Fatalf("TryRLock while a living process holds it: %v, %v", ok, err)
	} else if ok {
		must(t, reader.RUnlock())
	}
	watch := ipctest.StartWatch(t)
	die()
	abandoned, err := rw.Lock(within(t))
	if d, tooLong := watch.Stop(noticed); err != nil || abandoned != wrote || tooLong {
		t.Errorf("Lock = %v, %v after %v, want %v within %v", abandoned, err, d, wrote, noticed)
	}
	must(t, errors.Join(rw.MarkConsistent(), rw.Unlock()))
	must(t, reader.RLock(within(t)))
	must(t, reader.RUnlock())
}

// TestRWStopped checks that a stopped reader does not count as dead.
func TestRWStopped(t *testing.T) {
	w := newWorld(t)
	c := w.start(inNamespaces(unix.CLONE_NEWPID), "rwhold", "read")
	c.line("held")
	c.signal(unix.SIGSTOP)
	rw := w.rwMutex()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := rw.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Lock while a reader is stopped: %v", err)
	}
	c.signal(unix.SIGCONT)
	c.tell("unlock")
	abandoned, err := rw.Lock(within(t))
	if abandoned || err != nil {
		t.Fatalf("Lock = %v, %v when it has gone on", abandoned, err)
	}
	must(t, rw.Unlock())
	c.wait()
}

// TestRWRepair checks that readers are kept out after a writer that failed to repair the
// state, until another has repaired it.
func TestRWRepair(t *testing.T) {
	w := newWorld(t)
	a, b := w.rwMutex(), w.rwMutex()
	c := w.start(nil, "rwhold", "write")
	c.line("held")
	c.kill()
	ctx := within(t)
	mustBe(t, a.RLock(ctx), shmsync.ErrInconsistent)
	_, err := b.TryRLock()
	mustBe(t, err, shmsync.ErrInconsistent)
	failed := errors.New("failed")
	for _, fails := range []func() error{
		func() error { return failed },
		func() (err error) {
			defer func() { recover() }()
			panic(failed)
		},
	} {
		err := a.With(ctx, func(told bool) error {
			if !told {
				t.Error("not told of the death")
			}
			return fails()
		})
		if err != nil && !errors.Is(err, failed) {
			t.Error(err)
		}
		if err != nil { // a panic that f recovers is no error, so the state counts as repaired
			mustBe(t, b.RLock(ctx), shmsync.ErrInconsistent)
		}
	}
	must(t, b.RWith(ctx, func() error { return nil }))
	func() {
		defer func() { _ = recover() }()
		_ = a.With(ctx, func(bool) error { panic(failed) })
	}()
	mustBe(t, b.RLock(ctx), shmsync.ErrInconsistent)
	must(t, b.With(ctx, func(told bool) error {
		if !told {
			t.Error("not told of the panic")
		}
		return nil
	}))
	must(t, a.RWith(ctx, func() error { return nil }))
}

// TestRWWaiterKilled kills a writer that waits for readers. It has changed nothing, so the
// next writer is not told.
func TestRWWaiterKilled(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	w := newWorld(t)
	rw, ctx := w.rwMutex(), within(t)
	must(t, rw.RLock(ctx))
	c := w.start(nil, "rwhold", "write")
	const drainingAt = 76 // the other half of the 64 bits is a futex that counts up
	low, high := uint64(1), uint64(1)<<32
	eventually(t, "the writer to wait", func() bool { return w.word(rwAt+drainingAt-4).Load()&(low|high) != 0 })
	c.kill()
	must(t, rw.RUnlock())
	told, err := rw.Lock(ctx)
	if told || err != nil {
		t.Errorf("Lock = %v, %v after the death of one that only waited", told, err)
	}
	must(t, rw.Unlock())
	must(t, rw.RWith(ctx, func() error { return nil }))
}

// TestRWWakes checks that the last reader wakes the writer before the writer's next check.
func TestRWWakes(t *testing.T) {
	w := newWorld(t)
	rw, reader, ctx := w.rwMutex(), w.rwMutex(), within(t)
	best := time.Hour
	for range 30 {
		must(t, reader.RLock(ctx))
		locked := make(chan error)
		go func() { _, err := rw.Lock(ctx); locked <- err }()
		time.Sleep(20 * time.Millisecond) // until it sleeps
		began := time.Now()
		must(t, reader.RUnlock())
		must(t, <-locked)
		best = min(best, time.Since(began))
		must(t, rw.Unlock())
	}
	if best > 40*time.Millisecond { // it checks every 100 ms
		t.Errorf("the fastest of 30 writers was woken after %v", best)
	}
}

// TestRWModel makes random calls through several values, and compares each result with
// that of a simple model of the lock.
func TestRWModel(t *testing.T) {
	w := newWorld(t)
	var locks [4]*shmsync.RWMutex
	for i := range locks {
		locks[i] = w.rwMutex()
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	var reads [len(locks)]int
	writer, all := -1, 0
	for step := range 20_000 {
		i := rng.IntN(len(locks))
		rw := locks[i]
		var ok, want bool
		var err error
		what := rng.IntN(4)
		switch what {
		case 0:
			ok, _, err = rw.TryLock()
			if want = writer < 0 && all == 0; want {
				writer = i
			}
		case 1:
			ok, err = rw.TryRLock()
			if want = writer < 0; want {
				reads[i]++
				all++
			}
		case 2:
			ok = rw.Unlock() == nil
			if want = writer == i; want {
				writer = -1
			}
		case 3:
			ok = rw.RUnlock() == nil
			if want = reads[i] > 0; want {
				reads[i]--
				all--
			}
		}
		if ok != want || err != nil {
			t.Fatalf("step %d of seed %d: action %d of value %d: %v, %v, want %v", step, seed, what, i, ok, err, want)
		}
	}
	if writer >= 0 {
		must(t, locks[writer].Unlock())
	}
	for i, n := range reads {
		for range n {
			must(t, locks[i].RUnlock())
		}
	}
}

// TestRWStarvesNobody runs readers and writers that never pause.
func TestRWStarvesNobody(t *testing.T) {
	w := newWorld(t)
	var stop atomic.Bool
	var counts [6]atomic.Uint64
	var wg sync.WaitGroup
	for i := range counts {
		rw := w.rwMutex()
		wg.Go(func() {
			for !stop.Load() {
				var err error
				if i%2 == 0 {
					err = rw.RWith(context.Background(), func() error { return nil })
				} else {
					err = rw.With(context.Background(), func(bool) error { w.page.plain++; return nil })
				}
				if err != nil {
					t.Error(err)
					return
				}
				counts[i].Add(1)
			}
		})
	}
	for i := range counts {
		eventually(t, fmt.Sprintf("number %d locks 20 times", i), func() bool { return counts[i].Load() >= 20 })
	}
	stop.Store(true)
	wg.Wait()
	if n := counts[1].Load() + counts[3].Load() + counts[5].Load(); n != w.page.plain {
		t.Errorf("%d writes under the lock, %d outside", w.page.plain, n)
	}
}

// TestRWMany opens more values than there are slots; values of dead processes do not
// count.
func TestRWMany(t *testing.T) {
	w := newWorld(t)
	const slots = (shmsync.RWMutexSize - 128) / 64
	c := w.start(nil, "rwhold", "read")
	c.line("held")
	for range slots - 1 {
		w.rwMutex()
	}
	_, err := shmsync.NewRWMutex(w.mem, rwAt)
	mustBe(t, err, shmsync.ErrBusy)
	c.kill()
	rw := w.rwMutex()
	ok, _, err := rw.TryLock()
	if !ok || err != nil {
		t.Fatalf("TryLock = %v, %v", ok, err)
	}
	mustBe(t, rw.Close(), shmsync.ErrBusy)
	must(t, rw.Unlock())
	mustBe(t, rw.Unlock(), shmsync.ErrNotHeld)
	mustBe(t, rw.RUnlock(), shmsync.ErrNotHeld)
	must(t, rw.Close())
	mustBe(t, rw.RLock(within(t)), shmsync.ErrClosed)
	_, err = rw.Lock(within(t))
	mustBe(t, err, shmsync.ErrClosed)
	mustBe(t, rw.Close(), shmsync.ErrClosed)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	mustBe(t, w.rwMutex().RLock(done), context.Canceled)
	_, err = shmsync.NewMutex(w.mem, rwAt)
	mustBe(t, err, shmsync.ErrNotLock)
	must(t, w.mutex().Close())
	_, err = shmsync.NewRWMutex(w.mem, 0)
	mustBe(t, err, shmsync.ErrNotLock)
}

// TestRWMad writes random numbers anywhere into the lock. No call may take much longer
// than its context, or end the program.
func TestRWMad(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	rounds := 25
	if testing.Short() {
		rounds /= 10
	}
	zero := func() {
		for off := 0; off < shmsync.RWMutexSize; off += 8 {
			w.word(rwAt + off).Store(0)
		}
	}
	for range rounds {
		zero()
		rw := w.rwMutex()
		scribbled := make(chan struct{})
		go func() {
			defer close(scribbled)
			for range 200 {
				const first, words = 4, 44 // the header after the id, the writer's words, some slots
				w.word(rwAt + (first+rng.IntN(words))*8).Store(rng.Uint64() >> rng.IntN(64))
				time.Sleep(time.Duration(rng.IntN(50)) * time.Microsecond)
			}
		}()
		for over := false; !over; {
			select {
			case <-scribbled:
				over = true
			default:
			}
			w.anything(rw)
		}
		zero()
		_ = rw.Unlock()
		must(t, rw.Close())
	}
}

// anything calls the methods of a lock whose words may have any value.
func (w *world) anything(rw *shmsync.RWMutex) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := rw.Lock(ctx); err == nil {
		_ = rw.Unlock()
	}
	if rw.RLock(ctx) == nil {
		_ = rw.RUnlock()
	}
	_, _, _ = rw.TryLock()
	_ = rw.Unlock()
	if ok, _ := rw.TryRLock(); ok {
		_ = rw.RUnlock()
	}
	if d := time.Since(began); d > 10*time.Second {
		w.t.Fatalf("the calls took %v", d)
	}
}

func TestRWAllocates(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it counts other allocations")
	rw, ctx := newWorld(t).rwMutex(), context.Background()
	if n := testing.AllocsPerRun(100, func() {
		_, err := rw.Lock(ctx)
		if err := errors.Join(err, rw.Unlock(), rw.RLock(ctx), rw.RUnlock()); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUncontendedRead(b *testing.B) {
	rw, ctx := newWorld(b).rwMutex(), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := rw.RLock(ctx); err != nil {
			b.Fatal(err)
		}
		if err := rw.RUnlock(); err != nil {
			b.Fatal(err)
		}
	}
}
