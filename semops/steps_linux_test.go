package semops

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// If the set is removed while a caller retries, the error is EIDRM, as for a sleeper.
func TestRemoved(t *testing.T) {
	tests := []struct{ err, want error }{
		{&sysv.Error{Op: "semop", Kind: sysv.Sem, ID: 7, Err: unix.EINVAL}, unix.EIDRM},
		{&sysv.Error{Op: "semop", Kind: sysv.Sem, ID: 7, Err: unix.EIDRM}, unix.EIDRM},
		{&sysv.Error{Op: "semop", Kind: sysv.Sem, ID: 7, Err: context.Canceled}, context.Canceled},
		{unix.EINVAL, unix.EINVAL},
	}
	for _, tt := range tests {
		if got := removed(tt.err); !errors.Is(got, tt.want) {
			t.Errorf("removed(%v) = %v; want %v", tt.err, got, tt.want)
		}
	}
	if err := removed(nil); err != nil {
		t.Errorf("removed(nil) = %v", err)
	}
	if err := removed(tests[0].err); err.Error() != "semop sem:7: identifier removed" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed = %v", err)
	}
}

// How long a waiter spins depends on whether that helped, within bounds.
func TestLimit(t *testing.T) {
	if oneCPU() {
		t.Skip("nobody spins on one CPU")
	}
	set, err := sysv.CreateSet(sysv.Private, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Remove()
	var w waiter
	spin := func(op sysv.Op, want bool) {
		t.Helper()
		if ok, err := w.spin(set, []sysv.Op{op}); ok != want || err != nil {
			t.Fatalf("spin = %v, %v; want %v", ok, err, want)
		}
	}
	if n := w.limit(); n != maxSpins {
		t.Errorf("at first %d tries; want %d", n, maxSpins)
	}
	for range 30 {
		spin(add(0, -1), false)
	}
	if n := w.limit(); n != minSpins {
		t.Errorf("%d tries after it never helped; want %d", n, minSpins)
	}
	for range probeEvery {
		if n := w.limit(); n == maxSpins {
			break
		}
	}
	if waits := w.waits.Load(); (waits-1)%probeEvery != 0 {
		t.Errorf("a probe at wait %d; want one in %d", waits, probeEvery)
	}
	for range 30 {
		spin(add(0, 1), true)
	}
	if n := w.limit(); n < maxSpins-3 {
		t.Errorf("%d tries after it always helped; want %d", n, maxSpins)
	}
}

// On one CPU nobody spins. A change of the number of CPUs is noticed.
func TestOneCPU(t *testing.T) {
	set, err := sysv.CreateSet(sysv.Private, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Remove()
	var w waiter
	w.oneCPU.Store(true)
	for i := range recheckCalls {
		// After a failed try, the next ones are skipped, with an exception now and then.
		if got, want := w.triesFirst(), i%(skipTries+1) == 0; got != want {
			t.Fatalf("wait %d: triesFirst = %v; want %v", i, got, want)
		}
		if err := w.wait(context.Background(), set, isZero(0)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := w.oneCPU.Load(), oneCPU(); got != want {
		t.Errorf("oneCPU = %v; want %v", got, want)
	}
	w.oneCPU.Store(false) // another goroutine had tried in vain
	w.skips.Store(skipTries)
	if !w.triesFirst() {
		t.Error("no first try on several CPUs")
	}
}

// Each step of a Barrier succeeds only in its states.
func TestBarrierSteps(t *testing.T) {
	set, err := sysv.CreateSet(sysv.Private, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Remove()
	if err := set.SetValues(BarrierValues(2)); err != nil {
		t.Fatal(err)
	}
	b, err := NewBarrier(set, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		step func(int) (bool, error)
	}{{"come", b.come}, {"turn", b.turn}}
	tests := []struct {
		values []uint16
		want   [2][2]bool // come and turn in phase 0; in phase 1
	}{
		{[]uint16{2, 2, 4}, [2][2]bool{{true, false}, {false, false}}},
		{[]uint16{1, 2, 4}, [2][2]bool{{false, true}, {false, false}}},
		{[]uint16{1, 1, 4}, [2][2]bool{{false, false}, {false, false}}}, // one has not left phase 1
		{[]uint16{1, 2, 5}, [2][2]bool{{false, false}, {true, false}}},  // one has not left phase 0
		{[]uint16{1, 1, 5}, [2][2]bool{{false, false}, {false, false}}},
		{[]uint16{2, 1, 5}, [2][2]bool{{false, false}, {false, true}}},
	}
	for _, tt := range tests {
		for phase := range 2 {
			for i, s := range steps {
				if err := set.SetValues(tt.values); err != nil {
					t.Fatal(err)
				}
				if ok, err := s.step(phase); ok != tt.want[phase][i] || err != nil {
					t.Errorf("%s in phase %d of %v = %v, %v", s.name, phase, tt.values, ok, err)
				}
			}
		}
	}
}

// Signal omits its signal only if every waiter has one at this moment, not if others began
// to wait after it counted.
func TestSignalStep(t *testing.T) {
	set, err := sysv.CreateSet(sysv.Private, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Remove()
	c := Cond{mu: &Mutex{set: set}, waiters: [2]uint16{3, 4}, signals: [2]uint16{5, 6}}
	for _, tt := range []struct {
		w, s             int // what Signal has read
		waiters, signals int // the actual numbers
		want             bool
		after            int // signals
	}{
		{1, 0, 1, 0, true, 1},
		{2, 1, 2, 1, true, 2},
		{2, 1, 3, 1, true, 2},  // one more waits
		{2, 0, 1, 0, true, 1},  // one is gone
		{2, 1, 1, 1, false, 1}, // and the other has a signal
		{2, 0, 2, 1, false, 1}, // another process has signalled
		{1, 1, 1, 1, true, 1},  // each has one
		{1, 2, 1, 2, true, 2},  // a waiter that had one was killed
		{1, 1, 2, 1, false, 1}, // one more waits, without a signal
		{1, 1, 1, 0, false, 0}, // the waiter that had the signal is gone, and another waits
	} {
		if err := set.SetValues([]uint16{1, 0, 0, uint16(tt.waiters), 0, uint16(tt.signals), 0}); err != nil {
			t.Fatal(err)
		}
		ok, err := c.signal(0, tt.w, tt.s)
		if ok != tt.want || err != nil {
			t.Errorf("%+v: %v, %v", tt, ok, err)
		}
		if signals, err := set.Value(5); signals != tt.after || err != nil {
			t.Errorf("%+v: %d signals, %v", tt, signals, err)
		}
	}
}
