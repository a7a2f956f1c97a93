package shmring

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/internal/spin"
)

// A wait word is a futex on which one side sleeps. A process that is about to sleep sets
// bit 0. The other side, if it finds the bit set, clears it, adds one to the count in the
// other bits, and wakes the sleepers. The count makes a sleep that begins in between
// return at once.
//
// No wake-up is lost: a sleeper sets the bit, then checks whether there is something to
// do; a waker first publishes, then checks the bit. Both are sequentially consistent, so
// one of them sees the other. A waker killed in between, or anything else that goes wrong,
// costs one tick.
const sleeping = 1

const (
	// tick is how often a sleeper checks whether the other side is alive.
	tick = 150 * time.Millisecond
	// longTick is how often it checks while a vigil watches the processes of the other side.
	// A vigil does not notice an execve(2).
	longTick = 400 * time.Millisecond
	// restTick is how often it checks while there is no other process that could end.
	restTick = 5 * time.Second
)

// A look records when a caller that does not wait last checked whether the other side is
// alive.
type look struct{ last time.Time }

// due reports whether to check now, at most once in a tick.
func (l *look) due() bool {
	now := time.Now()
	if now.Sub(l.last) < tick {
		return false
	}
	l.last = now
	return true
}

func anyAsleep(w *atomic.Uint32) bool { return w.Load()&sleeping != 0 }

func wake(w *atomic.Uint32) {
	if v := w.Load(); v&sleeping != 0 && w.CompareAndSwap(v, (v+2)&^sleeping) {
		futex.Wake(futexWord(w), futex.All)
	}
}

// Bounds of the adaptive spin, in units of spin.Pause.
const (
	spinLeast = 16
	spinMost  = 4096
	// The pause before a check is long enough for the other side to get ahead by more than
	// one message. So cache lines move once for several messages, and no line is fetched
	// that the other side is about to write. The consumer's pause varies between two
	// bounds.
	producerPause = 64
	pauseLeast    = 32
	pauseMost     = 512
	// A sleep shorter than this consists mostly of falling asleep and waking up. The
	// longest spin would have sufficed instead.
	sleepShort = 200 * time.Microsecond
	// After vainMost of the longest spins in vain, spins are short for retryAfter waits.
	vainMost   = 4
	retryAfter = 64
)

// A spinner checks for something again and again before a sleep, for as long as that has
// recently paid off.
type spinner struct {
	pause  uint32 // before a check
	budget uint32 // how long to spin
	vain   uint32 // longest spins that were in vain, although the wait was short
}

// A waiter waits for the other side. It spins first, then sleeps.
type waiter struct {
	spinner
	word *atomic.Uint32 // on which to sleep
	spin bool

	alarmed atomic.Bool // a process has ended: check which one before sleeping
}

// alarm is called by a vigil. It sets the flag before it checks the word; a sleeper does
// the reverse. It runs in a goroutine of its own, where no caller can guard against
// truncated memory; if the word is truncated, the sleeper faults after its tick.
func (w *waiter) alarm() {
	w.alarmed.Store(true)
	_ = memory.Guard(func() error { wake(w.word); return nil })
}

// start initialises a waiter.
func (w *waiter) start(word *atomic.Uint32, spin bool, pause uint32) {
	w.word, w.spin, w.pause, w.budget = word, spin, pause, spinMost/4
}

// wait calls try until it is done or fails. After each tick it calls check, which returns
// how long the next tick may be. If check fails, the wait ends with its error, unless a
// last call of try ends it.
func (w *waiter) wait(ctx context.Context, try func() (bool, error), check func() (time.Duration, error)) error {
	if w.spin {
		if ok, err := w.spinUntil(try); ok || err != nil {
			return err
		}
	}
	// If the process has one processor for both sides, the other side needs it.
	runtime.Gosched()

	began := time.Now()
	defer func() { w.adapt(time.Since(began)) }()
	n := nap{w: w, checked: began, tick: tick}
	for now := began; ; now = time.Now() {
		n.register()
		if ok, err := try(); ok || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if left := n.left(now); left > 0 {
			if err := futex.Wait(ctx, futexWord(w.word), n.seen, left); err != nil && !errors.Is(err, futex.ErrTimeout) {
				return err
			}
		}
		if !n.due(time.Now()) {
			continue
		}
		var err error
		if n.tick, err = check(); err != nil {
			if ok, tryErr := try(); ok || tryErr != nil {
				return tryErr
			}
			return err
		}
	}
}

// A nap is a sleep on the word of a waiter: what to sleep for, and when to check next
// whether the other side is alive.
type nap struct {
	w       *waiter
	seen    uint32        // the word while nobody has woken the sleeper
	tick    time.Duration // from one check to the next
	checked time.Time     // time of the last check
	heeded  time.Time     // time of the last alarm acted on
}

// register sets the bit of the word. If the word has changed since, the next check follows
// a usual tick after the last: a process may have joined, which nobody watches yet.
func (n *nap) register() {
	v := n.w.word.Or(sleeping) | sleeping
	if v != n.seen {
		n.seen, n.tick = v, min(n.tick, tick)
	}
}

// stir wakes all sleepers, unless the word has changed already, and expects the new value.
func (n *nap) stir() {
	if n.w.word.CompareAndSwap(n.seen, (n.seen+2)&^sleeping) {
		n.seen += 2
		futex.Wake(futexWord(n.w.word), futex.All)
	}
}

// left returns how long to sleep until the next check. At most one alarm per tick shortens
// the sleep. A process that has ended raises an alarm whenever it is watched, until its
// parent has waited for it. Until then it may look alive, if /proc hides it.
func (n *nap) left(now time.Time) time.Duration {
	left := n.tick - now.Sub(n.checked)
	if n.w.alarmed.Load() {
		left = min(left, tick-now.Sub(n.heeded))
	}
	return left
}

// due reports whether to check now. If so, it registers first: a process that joins after
// the check notices the bit and wakes the sleeper.
func (n *nap) due(now time.Time) bool {
	if n.left(now) > 0 {
		return false
	}
	if n.checked = now; n.w.alarmed.Swap(false) {
		n.heeded = now
	}
	n.seen = n.w.word.Or(sleeping) | sleeping
	return true
}

// spinUntil calls try after each pause, until the budget is spent. If there is no reason
// to keep a distance, the shortest pauses come first, because an answer may be due at any
// moment.
func (w *spinner) spinUntil(try func() (bool, error)) (bool, error) {
	pause := w.pause
	if pause == pauseLeast {
		pause = 1
	}
	for spent := uint32(0); spent < w.budget; spent += pause {
		if spent > 0 {
			pause = min(2*pause, w.pause)
		}
		spin.Pause(min(pause, w.budget))
		if ok, err := try(); ok || err != nil {
			w.budget, w.vain = min(2*w.budget, spinMost), 0
			return ok, err
		}
	}
	return false, nil
}

// pace learns from what a consumer received since it last waited. If producers sent at
// least one message for each eight units of the pause, the consumer lets them get further
// ahead, but not so far that the ring becomes full. Otherwise messages wait no longer than
// necessary.
func (w *spinner) pace(messages, bytes, capacity uint64) {
	switch {
	case messages < uint64(w.pause/8):
		w.pause = pauseLeast
	case bytes < capacity/8:
		w.pause = min(2*w.pause, pauseMost)
	case bytes > capacity/2:
		w.pause = max(w.pause/2, pauseLeast)
	}
}

// adapt learns from a sleep: the spin before it was too short, or in vain. If the longest
// spin is in vain again and again although the sleeps are short, the two sides share a
// processor: the other side runs only when this one sleeps.
func (w *spinner) adapt(slept time.Duration) {
	switch {
	case slept >= sleepShort:
		w.budget = max(w.budget/2, spinLeast)
	case w.vain < vainMost:
		if w.budget == spinMost {
			w.vain++
		}
		w.budget = min(4*w.budget, spinMost)
	case w.vain < vainMost+retryAfter:
		w.vain++
		w.budget = spinLeast
	default:
		w.vain = 0
	}
}
