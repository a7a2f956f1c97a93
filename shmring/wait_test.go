package shmring

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// TestPace lets a consumer receive a number of messages of 256 bytes between two waits.
func TestPace(t *testing.T) {
	const capacity = 1 << 20
	for _, tt := range []struct {
		what          string
		pause         uint32
		messages      uint64
		capacity      uint64
		want          uint32
		afterwards    uint64
		wantAfterward uint32
	}{
		{"a request at a time", pauseLeast, 1, capacity, pauseLeast, 1, pauseLeast},
		{"a million a second, or three", pauseLeast, pauseLeast/8 - 1, capacity, pauseLeast, 1, pauseLeast},
		{"as fast as it goes", pauseLeast, pauseLeast, capacity, 2 * pauseLeast, 2 * pauseLeast, 4 * pauseLeast},
		{"as fast as it goes, at the bound", pauseMost, pauseMost, capacity, pauseMost, pauseMost, pauseMost},
		{"fast, then a request", pauseMost, pauseMost, capacity, pauseMost, 1, pauseLeast},
		{"fast, through a small ring", pauseLeast, pauseLeast, 16 << 10, pauseLeast, pauseLeast, pauseLeast},
		{"the ring becomes full", pauseMost, pauseMost, 128 << 10, pauseMost / 2, pauseMost, pauseMost / 4},
		{"a small ring becomes full", pauseLeast, pauseLeast, 8 << 10, pauseLeast, pauseLeast, pauseLeast},
	} {
		w := spinner{pause: tt.pause}
		w.pace(tt.messages, tt.messages*256, tt.capacity)
		if w.pause != tt.want {
			t.Errorf("%s: a pause of %d, want %d", tt.what, w.pause, tt.want)
		}
		w.pace(tt.afterwards, tt.afterwards*256, tt.capacity)
		if w.pause != tt.wantAfterward {
			t.Errorf("%s: a pause of %d after that, want %d", tt.what, w.pause, tt.wantAfterward)
		}
	}
}

// TestSpinInVain makes all sleeps short although no spin helps: the other side runs only
// while this one sleeps.
func TestSpinInVain(t *testing.T) {
	var w waiter
	w.start(new(atomic.Uint32), true, pauseLeast)
	long, rounds := 0, 20*retryAfter
	for range rounds {
		if w.budget > spinLeast {
			long++
		}
		w.adapt(sleepShort / 2)
	}
	if most := rounds / 4; long > most {
		t.Errorf("%d of %d spins were long, want %d at most", long, rounds, most)
	}
	// A single spin that helps makes the next one longer.
	w.vain, w.budget = vainMost+1, spinLeast
	if ok, err := w.spinUntil(func() (bool, error) { return true, nil }); !ok || err != nil || w.budget <= spinLeast || w.vain != 0 {
		t.Errorf("after a spin that helped: budget %d, %d in vain", w.budget, w.vain)
	}
}

// TestJoinBehindCheck lets a process join just after check has run. The sleep that follows
// is short.
func TestJoinBehindCheck(t *testing.T) {
	var w waiter
	word := new(atomic.Uint32)
	w.start(word, false, pauseLeast)
	w.alarmed.Store(true)
	checks := 0
	began := time.Now()
	err := w.wait(context.Background(), func() (bool, error) {
		if checks == 0 {
			wake(word) // for another reason
		}
		return checks == 2, nil
	}, func() (time.Duration, error) {
		if checks++; checks == 1 {
			wake(word) // as a process that joins does
		}
		return longTick, nil
	})
	if took := time.Since(began); err != nil || took > longTick*3/4 {
		t.Errorf("the second look came after %v, %v; want %v", took, err, tick)
	}
}

// TestAlarmsInARow raises an alarm whenever check has run, like a process that has ended
// but cannot be distinguished from a living one.
func TestAlarmsInARow(t *testing.T) {
	var w waiter
	w.start(new(atomic.Uint32), false, pauseLeast)
	checks := 0
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 4*tick)
	defer cancel()
	err := w.wait(ctx, func() (bool, error) { return false, nil }, func() (time.Duration, error) {
		checks++
		w.alarm()
		return longTick, nil
	})
	if most := int(time.Since(began)/tick) + 1; checks > most || checks == 0 || err == nil {
		t.Errorf("%d looks, %v; want from 1 to %d", checks, err, most)
	}
}
