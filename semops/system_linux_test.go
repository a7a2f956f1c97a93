package semops

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// A set that goes while somebody tries again and again is EIDRM as for a sleeper.
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

// How long a waiter spins follows from whether it helped, within bounds.
func TestLimit(t *testing.T) {
	if oneCPU() {
		t.Skip("nobody spins on one CPU")
	}
	set, err := sysv.CreateSet(sysv.Private, 1, sysv.SetOptions{Mode: 0o600})
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

// On one CPU nobody spins, and it is noticed when there are more again.
func TestOneCPU(t *testing.T) {
	set, err := sysv.CreateSet(sysv.Private, 1, sysv.SetOptions{Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Remove()
	var w waiter
	w.oneCPU.Store(true)
	for range recheckCalls {
		if err := w.do(context.Background(), set, isZero(0)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := w.oneCPU.Load(), oneCPU(); got != want {
		t.Errorf("oneCPU = %v; want %v", got, want)
	}
}
