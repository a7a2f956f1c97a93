package semops_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
)

// goroutines of each test of order count rounds times each.
const goroutines, rounds = 4, 300

// Goroutines of one process order their accesses to Go's own memory with each primitive.
// The race detector checks that they do.
func TestGoMemory(t *testing.T) {
	for name, test := range map[string]func(*testing.T, context.Context){
		"mutex": orderByMutex, "semaphore": orderBySemaphore, "zero": orderByZero, "rwmutex": orderByRWMutex,
		"event": orderByEvent, "barrier": orderByBarrier, "cond": orderByCond, "buffer": orderByBuffer,
	} {
		t.Run(name, func(t *testing.T) { test(t, within(t)) })
	}
}

// together calls f rounds times in each of the goroutines.
func together(t *testing.T, f func() error) {
	t.Helper()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				if err := f(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func counted(t *testing.T, n, want int) {
	t.Helper()
	if n != want {
		t.Errorf("counted to %d; want %d", n, want)
	}
}

func orderByMutex(t *testing.T, ctx context.Context) {
	n := 0
	mu := newMutex(t, newWorld(t, semops.MutexValues()).set)
	together(t, func() error {
		if err := lock(mu, ctx); err != nil {
			return err
		}
		n++
		return mu.Unlock()
	})
	counted(t, n, goroutines*rounds)
}

func orderBySemaphore(t *testing.T, ctx context.Context) {
	n := 0
	s := newSemaphore(t, newWorld(t, []uint16{1}).set, 0)
	together(t, func() error {
		if err := s.Acquire(ctx, 1); err != nil {
			return err
		}
		n++
		return s.Release(1)
	})
	counted(t, n, goroutines*rounds)
}

func orderByZero(t *testing.T, ctx context.Context) {
	n := 0
	s := newSemaphore(t, newWorld(t, []uint16{1}).set, 0)
	done := run(func() error { return s.WaitZero(ctx) })
	n++
	must(t, s.Acquire(ctx, 1))
	must(t, result(t, done))
	must(t, s.WaitZero(ctx))
	counted(t, n, 1)
}

func orderByRWMutex(t *testing.T, ctx context.Context) {
	n := 0
	rw := newRWMutex(t, newWorld(t, semops.RWMutexValues()).set)
	together(t, func() error {
		if err := rw.RLock(ctx); err != nil {
			return err
		}
		before := n
		if err := rw.RUnlock(); err != nil {
			return err
		}
		if err := lock(rw, ctx); err != nil {
			return err
		}
		if n < before {
			t.Errorf("%d after %d", n, before)
		}
		n++
		return rw.Unlock()
	})
	counted(t, n, goroutines*rounds)
}

func orderByEvent(t *testing.T, ctx context.Context) {
	n := 0
	w := newWorld(t, semops.EventValues())
	e, err := semops.NewEvent(w.set, 0)
	must(t, err)
	done := run(func() error {
		err := e.Wait(ctx)
		n++
		return err
	})
	n++
	must(t, e.Set())
	must(t, result(t, done))
	counted(t, n, 2)
}

func orderByBarrier(t *testing.T, ctx context.Context) {
	n := 0
	w := newWorld(t, semops.BarrierValues(goroutines))
	b := newBarrier(t, w.set, goroutines)
	together(t, func() error {
		last, err := b.Wait(ctx)
		if err != nil {
			return err
		}
		if last { // all others wait for the next round
			n++
		}
		_, err = b.Wait(ctx)
		if n == 0 {
			t.Error("nobody was last")
		}
		return err
	})
	counted(t, n, rounds)
}

func orderByCond(t *testing.T, ctx context.Context) {
	n := 0
	mu, c := newCond(t, newWorld(t, condValues()).set)
	done := run(func() error {
		err := lock(mu, ctx)
		for err == nil && n == 0 {
			err = waitFor(c, ctx)
		}
		n++
		if err == nil {
			err = mu.Unlock()
		}
		return err
	})
	must(t, lock(mu, ctx))
	n++
	must(t, mu.Unlock())
	must(t, c.Signal())
	must(t, result(t, done))
	counted(t, n, 2)
}

func orderByBuffer(t *testing.T, ctx context.Context) {
	var memory [3]int
	b := newBuffer(t, newWorld(t, semops.BufferValues(len(memory))).set, len(memory))
	next := 0
	put := func(slot int) error {
		next++
		memory[slot] = next
		return nil
	}
	sum := 0
	take := func(slot int) error {
		sum += memory[slot]
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { together(t, func() error { return b.Put(ctx, put) }) })
	wg.Go(func() { together(t, func() error { return b.Take(ctx, take) }) })
	wg.Wait()
	if all := goroutines * rounds; next != all || sum != all*(all+1)/2 {
		t.Errorf("%d put, their sum %d", next, sum)
	}
}

// Calls that do not block allocate nothing.
func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ipctest.SkipUnderCheckptr(t)
	ctx := context.Background()
	w := newWorld(t, slices.Concat(semops.MutexValues(), semops.RWMutexValues(), semops.EventValues(), semops.BufferValues(4), []uint16{1}, semops.CondValues()))
	mu := newMutex(t, w.set)
	rw, err := semops.NewRWMutex(w.set, 2)
	must(t, err)
	e, err := semops.NewEvent(w.set, 5)
	must(t, err)
	b, err := semops.NewBuffer(w.set, 6, 4)
	must(t, err)
	s := newSemaphore(t, w.set, 12)
	c, err := semops.NewCond(mu, 13)
	must(t, err)
	work := func(int) error { return nil }
	tests := []struct {
		name string
		f    func() error
	}{
		{"Semaphore", func() error { return first(s.Acquire(ctx, 1), s.Release(1)) }},
		{"Mutex", func() error { return first(lock(mu, ctx), mu.Unlock()) }},
		{"Lock and Unlock", func() error { return first(lock(rw, ctx), rw.Unlock()) }},
		{"RLock and RUnlock", func() error { return first(rw.RLock(ctx), rw.RUnlock()) }},
		{"Event", func() error { return first(e.Set(), e.Wait(ctx), e.Reset()) }},
		{"Buffer", func() error { return first(b.Put(ctx, work), b.Take(ctx, work)) }},
		{"Cond", func() error { return first(c.Signal(), c.Broadcast(ctx)) }},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, func() { must(t, tt.f()) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Cancelled waits leave no goroutine, no sleeping thread, and no waiter in the kernel.
func TestNoGoroutineLeft(t *testing.T) {
	w := newWorld(t, slices.Concat(semops.MutexValues(), semops.CondValues()))
	mu, c := newCond(t, w.set)
	must(t, lock(mu, within(t)))
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		var waits []<-chan error
		for range 10 {
			waits = append(waits, run(func() error { return lock(mu, ctx) }))
		}
		w.asleep(0, 10)
		cancel()
		for _, w := range waits {
			mustBe(t, result(t, w), context.Canceled)
		}
		ctx, cancel = context.WithCancel(context.Background())
		wait := run(func() error { return waitFor(c, ctx) })
		w.asleep(condSignals0, 1)
		cancel()
		mustBe(t, result(t, wait), context.Canceled)
	}
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	for num := range 7 {
		if n, err := w.set.NCount(num); n != 0 || err != nil {
			t.Errorf("%d wait on semaphore %d, %v", n, num, err)
		}
	}
}

// Ten thousand signals a second end no wait.
func TestSignalStorm(t *testing.T) {
	w := newWorld(t, slices.Concat(semops.BarrierValues(2), []uint16{0, 0}))
	end, stop := context.WithCancel(within(t))
	defer stop()
	go storm(end, unix.Getpid())
	b := newBarrier(t, w.set, 2)
	ping, pong := newSemaphore(t, w.set, 3), newSemaphore(t, w.set, 4)
	rounds := times(2000)
	other := run(func() error {
		for range rounds {
			_, err := b.Wait(end)
			if err := first(err, ping.Acquire(end, 1), pong.Release(1)); err != nil {
				return err
			}
		}
		return nil
	})
	for range rounds {
		_, err := b.Wait(context.Background())
		must(t, first(err, ping.Release(1), pong.Acquire(context.Background(), 1)))
	}
	must(t, result(t, other))
}
