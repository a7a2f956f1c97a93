package interrupt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"cancel": playCancel})
	ipctest.Main(m)
}

// sleeper returns a system call that sleeps until it is interrupted, and a function that
// lets it succeed.
func sleeper(t testing.TB) (call func() abi.Errno, wake func()) {
	t.Helper()
	id, e := abi.Semget(abi.IPCPrivate, 1, 0o600)
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() { abi.Semrmid(id) })
	return func() abi.Errno { return abi.Semop(id, []abi.Sembuf{{Op: -1}}) },
		func() {
			if e := abi.TrySemop(id, []abi.Sembuf{{Op: 1, Flg: abi.IPCNoWait}}); e != 0 {
				t.Error(e)
			}
		}
}

func TestReturnsWhatTheCallReturns(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{"with": ctx, "without": context.Background()} {
		for _, want := range []abi.Errno{0, abi.EIDRM, abi.EAGAIN} {
			calls := 0
			err := interrupt.Do(ctx, func() abi.Errno {
				if calls++; calls < 4 {
					return abi.EINTR
				}
				return want
			})
			if want == 0 && err != nil || want != 0 && !errors.Is(err, want) || calls != 4 {
				t.Errorf("%s cancellation: error %v after %d calls, want %v after 4", name, err, calls, want)
			}
		}
	}
}

func TestDoneContextMakesNoCall(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := interrupt.Do(ctx, func() abi.Errno {
		t.Error("it was called")
		return 0
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestSuccessCounts(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	err := interrupt.Do(ctx, func() abi.Errno {
		cancel()
		return 0
	})
	if err != nil {
		t.Errorf("error %v of a call that succeeded as it was cancelled", err)
	}
}

// TestCancelsSleepingCall cancels calls that sleep, and calls that are about to sleep and
// miss the first signal.
func TestCancelsSleepingCall(t *testing.T) {
	call, _ := sleeper(t)
	for i := range 100 {
		before := time.Duration(i%4) * 200 * time.Microsecond
		ctx, cancel := context.WithCancel(context.Background())
		var begun sync.Once
		err := interrupt.Do(ctx, func() abi.Errno {
			begun.Do(func() { go cancel() })
			for start := time.Now(); time.Since(start) < before; {
				runtime.Gosched()
			}
			return call()
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want context.Canceled", err)
		}
	}
}

func TestDeadline(t *testing.T) {
	call, _ := sleeper(t)
	const timeout = 20 * time.Millisecond
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := interrupt.Do(ctx, call)
	if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took < timeout {
		t.Errorf("error %v after %v, want context.DeadlineExceeded after %v", err, took, timeout)
	}
}

// TestSignalsDoNotEnd interrupts the call by signals that have nothing to do with
// its context.
func TestSignalsDoNotEnd(t *testing.T) {
	call, wake := sleeper(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var calls atomic.Int64
	var tid atomic.Int64
	go func() {
		for calls.Load() < 20 {
			_ = unix.Tgkill(os.Getpid(), int(tid.Load()), unix.SIGWINCH)
			time.Sleep(100 * time.Microsecond)
		}
		wake()
	}()
	err := interrupt.Do(ctx, func() abi.Errno {
		tid.Store(int64(unix.Gettid()))
		calls.Add(1)
		return call()
	})
	if err != nil || calls.Load() < 20 {
		t.Errorf("error %v after %d calls, want success after 20", err, calls.Load())
	}
}

// TestNoSignalAfterwards cancels a call and then checks that its thread gets no more
// signals.
func TestNoSignalAfterwards(t *testing.T) {
	call, _ := sleeper(t)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if err := interrupt.Do(ctx, call); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want context.Canceled", err)
	}
	urgent := make(chan os.Signal, 100)
	signal.Notify(urgent, unix.SIGURG)
	defer signal.Stop(urgent)
	time.Sleep(20 * time.Millisecond) // four times the longest pause between two signals
	if n := len(urgent); n > 2 {      // the runtime may have sent one itself
		t.Errorf("%d signals after the call", n)
	}
}

// TestSignalBlocked cancels in a process whose parent blocked SIGURG and whose runtime
// does not unblock it, because it does not use it to preempt.
func TestSignalBlocked(t *testing.T) {
	runtime.LockOSThread() // and not unlocked: the thread ends with its mask
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "asyncpreemptoff=1")
	peer := ipctest.Start(t, "cancel", nil)
	if got := peer.Line(); got != "context deadline exceeded, blocked as before: true" {
		t.Errorf("got %q", got)
	}
	peer.Wait()
}

// playCancel waits with a context that ends, and reports whether it restored the signal
// mask.
func playCancel([]string) error {
	id, e := abi.Semget(abi.IPCPrivate, 1, 0o600)
	if e != 0 {
		return e
	}
	defer abi.Semrmid(id)
	runtime.LockOSThread()
	var before, after unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &before); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := interrupt.Do(ctx, func() abi.Errno { return abi.Semop(id, []abi.Sembuf{{Op: -1}}) })
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &after); err != nil {
		return err
	}
	fmt.Printf("%v, blocked as before: %v\n", err, before == after && before != unix.Sigset_t{})
	return nil
}

func TestGoroutinesEnd(t *testing.T) {
	call, _ := sleeper(t)
	before := runtime.NumGoroutine()
	for range 50 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_ = interrupt.Do(ctx, call)
		cancel()
	}
	// Do returns when its goroutine will send no more signals. The goroutine ends slightly
	// later.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// BenchmarkUncontended measures Do when the call does not sleep.
func BenchmarkUncontended(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for b.Loop() {
		if err := interrupt.Do(ctx, func() abi.Errno { return 0 }); err != nil {
			b.Fatal(err)
		}
	}
}
