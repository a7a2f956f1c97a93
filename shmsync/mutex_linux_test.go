package shmsync_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmsync"
	"github.com/sysvipc/gipc/sysv"
)

func TestMutex(t *testing.T) {
	w, ctx := newWorld(t), within(t)
	mu, other := w.mutex(), w.mutex()
	mustBe(t, mu.Unlock(), shmsync.ErrNotHeld)
	mustBe(t, mu.MarkConsistent(), shmsync.ErrNotHeld)
	_, err := mu.Lock(ctx)
	must(t, err)
	for _, m := range []*shmsync.Mutex{mu, other} {
		if ok, _, err := m.TryLock(); ok || err != nil {
			t.Errorf("TryLock of a lock that is held = %v, %v", ok, err)
		}
	}
	mustBe(t, other.Unlock(), shmsync.ErrNotHeld)
	mustBe(t, mu.Close(), shmsync.ErrBusy)
	must(t, mu.MarkConsistent())
	must(t, mu.Unlock())
	mustBe(t, mu.Unlock(), shmsync.ErrNotHeld)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = mu.Lock(cancelled)
	mustBe(t, err, context.Canceled)
	must(t, mu.Close())
	_, err = mu.Lock(ctx)
	mustBe(t, err, shmsync.ErrClosed)
	_, _, err = mu.TryLock()
	mustBe(t, err, shmsync.ErrClosed)
	mustBe(t, mu.Unlock(), shmsync.ErrClosed)
	mustBe(t, mu.Close(), shmsync.ErrClosed)
}

// A holder that fails or panics within With leaves the lock free. The next holder is told
// if something may be half changed.
func TestWith(t *testing.T) {
	mu, ctx, failed := newWorld(t).mutex(), within(t), errors.New("failed")
	var told []bool
	with := func(err error) error {
		return mu.With(ctx, func(abandoned bool) error {
			told = append(told, abandoned)
			return err
		})
	}
	must(t, with(nil))
	mustBe(t, with(failed), failed) // an error alone is not a death
	func() {
		defer func() {
			if r := recover(); r != "panic" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = mu.With(ctx, func(bool) error { panic("panic") })
	}()
	mustBe(t, with(failed), failed) // told of the panic, but did not repair
	must(t, with(nil))
	must(t, with(nil))
	want := []bool{false, false, true, true, false}
	if len(told) != len(want) {
		t.Fatalf("told %v, want %v", told, want)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Fatalf("told %v, want %v", told, want)
		}
	}
}

// TestGoroutines counts under the lock, through one value and through several, and with
// waits that are cancelled. The race detector must see the order.
func TestGoroutines(t *testing.T) {
	w, ctx := newWorld(t), within(t)
	shared := w.mutex()
	var n int
	var gaveUp atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for round := range 2000 {
				wait, cancel := ctx, func() {}
				if i%2 == 1 && round%16 == 0 {
					wait, cancel = context.WithTimeout(ctx, time.Duration(round%7)*20*time.Microsecond)
				}
				_, err := shared.Lock(wait)
				cancel()
				if err != nil {
					gaveUp.Add(1)
					continue
				}
				n++
				if err := shared.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if gone := int(gaveUp.Load()); n+gone != 8*2000 {
		t.Errorf("%d counts and %d cancelled, want %d", n, gone, 8*2000)
	}
	other := w.mutex()
	if ok, _, err := other.TryLock(); !ok || err != nil {
		t.Fatalf("TryLock afterwards: %v, %v", ok, err)
	}
	must(t, other.Unlock())
}

// sleeps calls Lock in a goroutine, and returns the channel of its result as soon as it
// sleeps. It first clears the bit for sleepers in the lock word, which earlier sleepers
// may have left set.
func (w *world) sleeps(ctx context.Context, mu *shmsync.Mutex) <-chan error {
	w.t.Helper()
	const sleepers = 1
	w.word(wordAt).And(^uint64(sleepers))
	result := make(chan error, 1)
	go func() { _, err := mu.Lock(ctx); result <- err }()
	eventually(w.t, "somebody sleeps", func() bool { return w.word(wordAt).Load()&sleepers != 0 })
	return result
}

// word returns the 64-bit word at an offset of the lock.
func (w *world) word(off int) *atomic.Uint64 {
	w.t.Helper()
	var p *atomic.Uint64
	var err error
	switch m := w.mem.(type) {
	case *posix.Mapping:
		p, err = posix.View[atomic.Uint64](m, off)
	case *sysv.Attachment:
		p, err = sysv.View[atomic.Uint64](m, off)
	}
	must(w.t, err)
	return p
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	mu, other := w.mutex(), w.mutex()
	_, err := mu.Lock(within(t))
	must(t, err)
	for range 20 {
		ctx, cancel := context.WithCancel(within(t))
		failed := w.sleeps(ctx, other)
		mustBe(t, other.Close(), shmsync.ErrBusy)
		cancel()
		mustBe(t, <-failed, context.Canceled)
	}
	must(t, mu.Unlock())
}

// TestLeaver wakes one of two waiters in vain, and that waiter gives up. Until then Unlock
// need not wake the other waiter. Afterwards it must, or the other would sleep until it
// next checks whether the holder is alive.
func TestLeaver(t *testing.T) {
	w := newWorld(t)
	mu, leaver, stayer := w.mutex(), w.mutex(), w.mutex()
	var times []time.Duration
	for range 100 {
		_, err := mu.Lock(within(t))
		must(t, err)
		ctx, cancel := context.WithCancel(within(t))
		leaves, stays := w.sleeps(ctx, leaver), w.sleeps(within(t), stayer)
		// The holder's slice has just begun.
		var now unix.Timespec
		must(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		w.word(sinceAt).Store(uint64(now.Nano()))
		must(t, mu.Unlock())
		again, _, err := mu.TryLock()
		must(t, err)
		cancel()
		if err := <-leaves; err == nil {
			must(t, leaver.Unlock())
		}
		began := time.Now()
		if again {
			must(t, mu.Unlock())
		}
		must(t, <-stays)
		times = append(times, time.Since(began))
		must(t, stayer.Unlock())
	}
	slices.Sort(times)
	if d := times[90]; d > 50*time.Millisecond {
		t.Errorf("of 100 waits 10 took more than %v beside one that gave up", d)
	}
}

// TestUnmap unmaps memory with a lock that is open, held and waited for.
func TestUnmap(t *testing.T) {
	w := newWorld(t)
	m := w.mem.(*posix.Mapping)
	mu, other := w.mutex(), w.mutex()
	_, err := mu.Lock(within(t))
	must(t, err)
	waited := w.sleeps(within(t), other)
	mustBe(t, m.Unmap(), unix.EBUSY)
	must(t, mu.Unlock())
	must(t, <-waited)
	mustBe(t, m.Unmap(), unix.EBUSY)
	must(t, other.Unlock())
	must(t, other.Close())
	mustBe(t, m.Unmap(), unix.EBUSY)
	must(t, mu.Close())
	m2, err := posix.MapAnonymous(4096, nil)
	must(t, err)
	must(t, m2.Unmap())
	_, err = shmsync.NewMutex(m2, 0)
	mustBe(t, err, posix.ErrUnmapped)
}

// TestTruncated truncates the memory while a goroutine waits for the lock in it.
func TestTruncated(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it loses the address of a fault, at times")
	w := worlds["memfd"](t)
	mu, other := w.mutex(), w.mutex()
	_, err := mu.Lock(within(t))
	must(t, err)
	waited := w.sleeps(within(t), other)
	must(t, w.file.Truncate(0))
	err = <-waited
	must(t, w.file.Truncate(int64(worldSize)))
	if !errors.Is(err, shmsync.ErrFault) && !errors.Is(err, unix.EFAULT) {
		t.Errorf("Lock = %v, want ErrFault", err)
	}
	mustBe(t, mu.Unlock(), shmsync.ErrNotHeld) // the memory is zero
}

func TestAllocations(t *testing.T) {
	ipctest.SkipUnderCheckptr(t)
	mu, ctx := newWorld(t).mutex(), context.Background()
	if n := testing.AllocsPerRun(100, func() {
		_, err := mu.Lock(ctx)
		must(t, err)
		must(t, mu.Unlock())
		_, _, err = mu.TryLock()
		must(t, err)
		must(t, mu.Unlock())
	}); n != 0 {
		t.Errorf("%v allocations where nobody else uses the lock", n)
	}
}

// TestAllServed runs more processes than there are processors. None of them may starve.
func TestAllServed(t *testing.T) {
	w := newWorld(t)
	rate, fair := w.counted(16, func(i int) func() { return w.start(nil, "count", i).wait })
	t.Logf("%.0f locks a second, the least served process %.2f of the most", rate, fair)
	if fair == 0 {
		t.Error("a process was never served")
	}
}
