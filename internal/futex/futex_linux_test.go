package futex_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/futex"
)

// word returns a word of memory mapped shared.
func word(t *testing.T) *uint32 {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return futex.Word(mem, 0)
}

func TestWaitOtherValue(t *testing.T) {
	if err := futex.Wait(context.Background(), word(t), 1, 0); err != nil {
		t.Errorf("Wait for a word that differs: %v, want nil", err)
	}
}

func TestWaitTimeout(t *testing.T) {
	const timeout = 20 * time.Millisecond
	start := time.Now()
	err := futex.Wait(context.Background(), word(t), 0, timeout)
	if d := time.Since(start); !errors.Is(err, futex.ErrTimeout) || d < timeout {
		t.Errorf("Wait = %v after %v, want ErrTimeout after %v", err, d, timeout)
	}
}

func TestWaitCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := futex.Wait(ctx, word(t), 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want context.Canceled", err)
	}
}

func TestWake(t *testing.T) {
	w := word(t)
	const sleepers = 3
	done := make(chan error, sleepers)
	for range sleepers {
		go func() { done <- futex.Wait(context.Background(), w, 0, 0) }()
	}
	// Wake returns how many threads it woke, so the test counts until all have been woken.
	for woken := 0; woken < sleepers; {
		woken += futex.Wake(w, futex.All)
	}
	for range sleepers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	atomic.StoreUint32(w, 1)
	if n := futex.Wake(w, futex.All); n != 0 {
		t.Errorf("Wake woke %d when nobody slept", n)
	}
}

func TestBadAddress(t *testing.T) {
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	if err := futex.Wait(context.Background(), futex.Word(mem, 0), 0, time.Second); !errors.Is(err, unix.EFAULT) {
		t.Errorf("Wait on memory without access = %v, want EFAULT", err)
	}
}
