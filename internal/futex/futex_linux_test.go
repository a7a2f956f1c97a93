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
	return words(t, 1)[0]
}

// words returns n words, each on a cache line of its own.
func words(t *testing.T, n int) (all []*uint32) {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, 64*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	for i := range n {
		all = append(all, futex.Word(mem, 64*i))
	}
	return all
}

// waitAny waits for any of the words to differ from 0.
func waitAny(ctx context.Context, all []*uint32, timeout time.Duration) error {
	waiters := make([]futex.Waiter, len(all))
	for i, w := range all {
		waiters[i].Set(w, 0)
	}
	return futex.WaitAny(ctx, waiters, timeout)
}

func needWaitAny(t *testing.T) {
	t.Helper()
	w := word(t)
	*w = 1
	if err := waitAny(context.Background(), []*uint32{w}, time.Second); errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		t.Skipf("SKIPPED: futex_waitv: %v", err)
	}
}

func TestWaitAny(t *testing.T) {
	needWaitAny(t)
	for _, n := range []int{1, 2, futex.MostWords} {
		all := words(t, n)
		for _, i := range []int{0, n / 2, n - 1} {
			done := make(chan error, 1)
			go func() { done <- waitAny(context.Background(), all, 0) }()
			for futex.Wake(all[i], futex.All) == 0 {
			}
			if err := <-done; err != nil {
				t.Errorf("WaitAny of %d words, woken on word %d: %v", n, i, err)
			}
		}
		atomic.StoreUint32(all[n-1], 1)
		if err := waitAny(context.Background(), all, 0); err != nil {
			t.Errorf("WaitAny with a word that differs: %v, want nil", err)
		}
	}
}

func TestWaitAnyTimeout(t *testing.T) {
	needWaitAny(t)
	const timeout = 20 * time.Millisecond
	start := time.Now()
	err := waitAny(context.Background(), words(t, 2), timeout)
	if d := time.Since(start); !errors.Is(err, futex.ErrTimeout) || d < timeout {
		t.Errorf("WaitAny = %v after %v, want ErrTimeout after %v", err, d, timeout)
	}
}

// TestWaitAnyCancelled cancels waits that the kernel restarts after a signal.
func TestWaitAnyCancelled(t *testing.T) {
	needWaitAny(t)
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		start := time.Now()
		err := waitAny(ctx, words(t, 2), time.Minute)
		if d := time.Since(start); !errors.Is(err, context.Canceled) || d > 30*time.Second {
			t.Fatalf("WaitAny = %v after %v, want context.Canceled", err, d)
		}
	}
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
	needWaitAny(t)
	if err := waitAny(context.Background(), []*uint32{word(t), futex.Word(mem, 0)}, time.Second); !errors.Is(err, unix.EFAULT) {
		t.Errorf("WaitAny on memory without access = %v, want EFAULT", err)
	}
}
