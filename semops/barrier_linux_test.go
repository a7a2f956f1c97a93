package semops_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

const barrierPhase = 2 // the semaphore of a Barrier that begins at 0

func newBarrier(t testing.TB, set sysv.Set, parties int) *semops.Barrier {
	t.Helper()
	b, err := semops.NewBarrier(set, 0, parties)
	must(t, err)
	return b
}

// Three processes meet often. Each counts its rounds, and none may be in a different round
// from the others.
func TestBarrierProcesses(t *testing.T) {
	w := newWorld(t, semops.BarrierValues(barrierParties))
	var children []*child
	for range barrierParties {
		children = append(children, w.start("barrier"))
	}
	for _, c := range children {
		must(t, c.wait())
	}
	w.checkFault()
	if got := w.page.told.Load(); got != barrierRounds {
		t.Errorf("somebody was last %d times; want %d", got, barrierRounds)
	}
	if got := w.values(); !slices.Equal(got, semops.BarrierValues(barrierParties)) {
		t.Errorf("values %v", got)
	}
}

func TestBarrierGoroutines(t *testing.T) {
	const parties, rounds = 5, 1000
	w := newWorld(t, semops.BarrierValues(parties))
	b, ctx := newBarrier(t, w.set, parties), within(t)
	var arrived, lasts atomic.Int64
	var wg sync.WaitGroup
	for range parties {
		wg.Go(func() {
			for round := range int64(rounds) {
				arrived.Add(1)
				last, err := b.Wait(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if last {
					lasts.Add(1)
				}
				if n := arrived.Load(); n < (round+1)*parties || n > (round+2)*parties {
					t.Errorf("%d have arrived after round %d", n, round)
					return
				}
			}
		})
	}
	wg.Wait()
	if lasts.Load() != rounds {
		t.Errorf("somebody was last %d times; want %d", lasts.Load(), rounds)
	}
}

func TestBarrierAlone(t *testing.T) {
	w := newWorld(t, semops.BarrierValues(1))
	b := newBarrier(t, w.set, 1)
	for range 3 {
		if last, err := b.Wait(within(t)); !last || err != nil {
			t.Fatalf("Wait = %v, %v", last, err)
		}
	}
}

// A party whose wait was cancelled, or that was killed, does not count.
func TestBarrierLeft(t *testing.T) {
	w := newWorld(t, semops.BarrierValues(3))
	b, background := newBarrier(t, w.set, 3), within(t)
	wait := func(ctx context.Context) func() error {
		return func() error {
			_, err := b.Wait(ctx)
			return err
		}
	}
	asleep := func(phase, n int) {
		t.Helper()
		if phase == 0 {
			w.asleep(barrierPhase, n)
		} else {
			w.asleepZero(barrierPhase, n)
		}
	}
	for i := range 6 {
		ctx, cancel := context.WithCancel(background)
		first := run(wait(background))
		asleep(i%2, 1)
		second := run(wait(ctx))
		asleep(i%2, 2)
		cancel()
		mustBe(t, result(t, second), context.Canceled)

		c := w.start("barrier")
		asleep(i%2, 2)
		c.kill()

		third := run(wait(background))
		asleep(i%2, 2)
		pending(t, first)
		if last, err := b.Wait(background); !last || err != nil {
			t.Fatalf("Wait of the last = %v, %v", last, err)
		}
		must(t, result(t, first))
		must(t, result(t, third))
	}
	if got := w.values(); !slices.Equal(got, semops.BarrierValues(3)) {
		t.Errorf("values %v", got)
	}
}

// Waits are cancelled at random times while rounds end. A Wait either fails and does not
// count, or counts.
func TestBarrierCancelStorm(t *testing.T) {
	const parties = 3
	w := newWorld(t, semops.BarrierValues(parties))
	b, background := newBarrier(t, w.set, parties), within(t)
	rounds := int64(times(500))
	var lasts, counted, cancelled atomic.Int64
	var wg sync.WaitGroup
	for range parties {
		wg.Go(func() {
			for range rounds {
				for range rand.IntN(20) {
					dally()
				}
				for {
					ctx, cancel := context.WithTimeout(background, time.Duration(rand.IntN(150))*time.Microsecond)
					last, err := b.Wait(ctx)
					cancel()
					if errors.Is(err, context.DeadlineExceeded) {
						cancelled.Add(1)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if last {
						lasts.Add(1)
					}
					counted.Add(1)
					break
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d waits cancelled", cancelled.Load())
	if cancelled.Load() == 0 && !testing.Short() {
		t.Error("no wait was cancelled")
	}
	if lasts.Load() != rounds || counted.Load() != rounds*parties {
		t.Errorf("%d rounds with %d parties; want %d with %d", lasts.Load(), counted.Load(), rounds, rounds*parties)
	}
	got := w.values()
	if !slices.Equal(got[:2], semops.BarrierValues(parties)[:2]) {
		t.Errorf("values %v", got)
	}
}

// More callers than parties share the rounds.
func TestBarrierMoreCallers(t *testing.T) {
	const parties, callers, rounds = 2, 6, 500
	w := newWorld(t, semops.BarrierValues(parties))
	b, ctx := newBarrier(t, w.set, parties), within(t)
	var lasts atomic.Int64
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(parties * rounds)
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				last, err := b.Wait(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if last {
					lasts.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if lasts.Load() != rounds {
		t.Errorf("%d rounds; want %d", lasts.Load(), rounds)
	}
}

// One of three processes is killed again and again, and another takes its place.
func TestBarrierKilled(t *testing.T) {
	w := newWorld(t, semops.BarrierValues(barrierParties))
	w.page.id.Store(1) // endless rounds
	children := []*child{w.start("barrier"), w.start("barrier"), w.start("barrier")}
	for range ipctest.Rounds(t, 100, 1) {
		i := rand.IntN(len(children))
		before := w.page.told.Load()
		eventually(t, "rounds", func() bool { return w.page.told.Load() > before+2 })
		time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		children[i].kill()
		children[i] = w.start("barrier")
	}
	before := w.page.told.Load()
	eventually(t, "rounds", func() bool { return w.page.told.Load() > before+2 })
	for _, c := range children {
		c.kill()
	}
	got := w.values()
	if !slices.Equal(got[:2], semops.BarrierValues(barrierParties)[:2]) {
		t.Errorf("values %v", got)
	}
}

// A party is stopped after its round has ended and before it has left. The last party of
// the next round sleeps until the stopped party has left, and no longer.
func TestBarrierSlowToLeave(t *testing.T) {
	w := newWorld(t, semops.BarrierValues(2))
	b, ctx := newBarrier(t, w.set, 2), within(t)
	must(t, w.set.Do(ctx, sysv.Op{Num: 0, Add: -1})) // it has arrived
	if last, err := b.Wait(ctx); !last || err != nil {
		t.Fatalf("Wait = %v, %v", last, err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	wait := func(ctx context.Context, lasts *bool) func() error {
		return func() (err error) {
			*lasts, err = b.Wait(ctx)
			return err
		}
	}
	var lasts [3]bool
	first := run(wait(ctx, &lasts[0]))
	w.asleepZero(barrierPhase, 1)
	second := run(wait(cancelled, &lasts[1]))
	w.asleep(0, 1)
	pending(t, first)
	cancel()
	mustBe(t, result(t, second), context.Canceled)
	third := run(wait(ctx, &lasts[2]))
	w.asleep(0, 1)
	must(t, w.set.Do(ctx, sysv.Op{Num: 0, Add: 1})) // it leaves
	must(t, result(t, first))
	must(t, result(t, third))
	if lasts != [3]bool{false, false, true} {
		t.Errorf("last: %v", lasts)
	}
}

// If another program changes the values, a wait ends with an error.
func TestBarrierChanged(t *testing.T) {
	w := newWorld(t, semops.BarrierValues(2))
	b := newBarrier(t, w.set, 2)
	ctx, cancel := context.WithCancel(within(t))
	wait := run(func() error { _, err := b.Wait(ctx); return err })
	w.asleep(barrierPhase, 1)
	must(t, w.set.SetValue(barrierPhase, 9))
	cancel()
	mustBe(t, result(t, wait), context.Canceled)
	_, err := b.Wait(within(t))
	mustBe(t, err, sysv.ErrMismatch)
}

func TestNewBarrierErrors(t *testing.T) {
	w := newWorld(t, []uint16{0, 0, 0})
	_, err := semops.NewBarrier(w.set, 0, 2)
	mustBe(t, err, sysv.ErrUninitialized)
	must(t, w.set.SetValues(semops.BarrierValues(3)))
	for _, tt := range [][2]int{{0, 0}, {0, -1}, {0, 16384}, {0, 2}, {1, 3}, {-1, 3}} {
		if _, err := semops.NewBarrier(w.set, tt[0], tt[1]); err == nil {
			t.Errorf("NewBarrier(%d, %d) succeeded", tt[0], tt[1])
		}
	}
	for _, parties := range []int{2, 4} {
		_, err := semops.NewBarrier(w.set, 0, parties)
		mustBe(t, err, sysv.ErrMismatch)
		if want := fmt.Sprintf("made for 3 parties, not %d", parties); !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}
