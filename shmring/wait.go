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

// A wait word is a futex on which one side sleeps. Bit 0 is set by those who are
// about to sleep; the other side, if it sees it, clears it, counts one up in the
// other bits, and wakes them. The count makes a sleep that begins in between return
// at once.
//
// Nothing is lost: a sleeper sets the bit, then looks whether there is something
// to do; a waker first publishes, then looks at the bit. Both are sequentially
// consistent, so one of them sees the other. A waker killed in the middle, and
// everything else that goes wrong, costs one tick.
const sleeping = 1

const (
	// tick is how often a sleeper looks whether the other side is alive.
	tick = 150 * time.Millisecond
	// longTick is how often it does if it will be told when a process ends. It is not
	// told when one replaces itself by execve(2).
	longTick = 400 * time.Millisecond
	// restTick is how often it does if there is no other process that could end.
	restTick = 5 * time.Second
)

// A look remembers when somebody who does not wait last looked whether the other side
// is alive.
type look struct{ last time.Time }

// due reports whether to look now, at most once in a tick.
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
	// The pause before a look: long enough for the other side to get ahead by more than
	// one message. The cache lines then move once for several, and none is fetched that
	// the other side is about to write. That of a consumer is between two bounds.
	producerPause = 64
	pauseLeast    = 32
	pauseMost     = 512
	// After a sleep shorter than this, most of which is the way into it and out, the
	// longest spin would have done.
	sleepShort = 200 * time.Microsecond
	// So many of the longest spins may be in vain; so many waits later they are tried again.
	vainMost   = 4
	retryAfter = 64
)

// A waiter waits for the other side. It spins first, for as long as that has paid
// off lately, then sleeps.
type waiter struct {
	word   *atomic.Uint32 // on which to sleep
	spin   bool
	pause  uint32 // before a look
	budget uint32 // how long to spin
	vain   uint32 // longest spins in vain, of waits that were short all the same

	alarmed atomic.Bool // a process has ended: no sleep before a look at who it was
}

// alarm is called by a vigil. The flag is set before the word is looked at, and a
// sleeper does it the other way round. It runs in a goroutine where no caller can
// guard against memory that was truncated away; if the word is, the sleeper meets the
// fault after its tick.
func (w *waiter) alarm() {
	w.alarmed.Store(true)
	_ = memory.Guard(func() error { wake(w.word); return nil })
}

// start sets a new waiter up.
func (w *waiter) start(word *atomic.Uint32, spin bool, pause uint32) {
	w.word, w.spin, w.pause, w.budget = word, spin, pause, spinMost/4
}

// wait calls try until it is done or fails. After each tick it calls check, which
// says how long the next one may be. Its failure ends the waiting if try, called once
// more, is still not done.
func (w *waiter) wait(ctx context.Context, try func() (bool, error), check func() (time.Duration, error)) error {
	if w.spin {
		if ok, err := w.spinUntil(try); ok || err != nil {
			return err
		}
	}
	// In a process that has one processor for both sides the other one needs it.
	runtime.Gosched()

	began := time.Now()
	defer func() { w.adapt(time.Since(began)) }()
	var heeded time.Time // when an alarm last was
	for checked, timeout := began, tick; ; {
		v := w.word.Load()
		if v&sleeping == 0 {
			if !w.word.CompareAndSwap(v, v|sleeping) {
				continue
			}
			v |= sleeping
		}
		if ok, err := try(); ok || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// One alarm in a tick is heeded at once. A process that has ended raises it
		// whenever it is watched, until somebody has waited for it, and may look alive as
		// long if /proc hides it.
		if w.alarmed.Load() {
			timeout = max(0, tick-time.Since(heeded))
		}
		if timeout > 0 {
			if err := futex.Wait(ctx, futexWord(w.word), v, timeout); err != nil && !errors.Is(err, futex.ErrTimeout) {
				return err
			}
		}
		timeout = tick
		if now := time.Now(); w.alarmed.Load() && now.Sub(heeded) >= tick || now.Sub(checked) >= tick {
			if checked = now; w.alarmed.Swap(false) {
				heeded = now
			}
			// Who joins when check has looked already is heard: somebody sleeps.
			seen := w.word.Or(sleeping) | sleeping
			var err error
			if timeout, err = check(); err != nil {
				if ok, tryErr := try(); ok || tryErr != nil {
					return tryErr
				}
				return err
			}
			if w.word.Load() != seen {
				timeout = tick
			}
		}
	}
}

// spinUntil tries after each pause, until the budget is spent. The shortest pauses come
// first where there is no reason to keep a distance: an answer may be due any moment.
func (w *waiter) spinUntil(try func() (bool, error)) (bool, error) {
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

// pace learns from what a consumer received since it last waited. Producers that send
// a message for each eight units of the pause don't go by the clock: they are left to
// get further ahead, but not so far that the ring becomes full. The messages of others
// wait for no longer than they must.
func (w *waiter) pace(messages, bytes, capacity uint64) {
	switch {
	case messages < uint64(w.pause/8):
		w.pause = pauseLeast
	case bytes < capacity/8:
		w.pause = min(2*w.pause, pauseMost)
	case bytes > capacity/2:
		w.pause = max(w.pause/2, pauseLeast)
	}
}

// adapt learns from a sleep: the spin before it was too short, or in vain. Where the
// longest is in vain again and again, though the sleeps are short, the other side gets
// to run when this one sleeps: they share a processor.
func (w *waiter) adapt(slept time.Duration) {
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
