package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

// A wait is a call that has to wait, and the action that lets it go on.
type wait struct {
	name    string
	call    func(context.Context) error
	waiting func() // returns once it sleeps
	release func()
	undone  func() // checks that a cancelled call did nothing
}

// waits returns every call that takes a context, on new objects.
func waits(t *testing.T) []wait {
	set, other := createSetWith(t, 0), createSetWith(t, 0)
	full, empty := createQueue(t, sysv.Private, 0o600), createQueue(t, sysv.Private, 0o600)
	check(t, full.SetOwnership(sysv.Ownership{Mode: 0o600}, 1))
	send(t, full, 1, "x")
	return []wait{
		{
			"Do",
			func(ctx context.Context) error { return set.Do(ctx, sysv.Op{Add: -1}) },
			func() { counted(t, set, 1) },
			func() { check(t, set.Do(t.Context(), sysv.Op{Add: 1})) },
			func() { wantValues(t, "Do, cancelled", set, 0); counted(t, set, 0) },
		},
		{
			"Wait",
			func(ctx context.Context) error { return other.Wait(ctx, sysv.Op{Add: -1}) },
			func() { counted(t, other, 1) },
			func() { check(t, other.Do(t.Context(), sysv.Op{Add: 1})) },
			func() { wantValues(t, "Wait, cancelled", other, 0); counted(t, other, 0) },
		},
		{
			"Send",
			func(ctx context.Context) error { return full.Send(ctx, 1, []byte("y")) },
			func() { sleeping(t, 1, "do_msgsnd") },
			func() { receive(full, 1, sysv.ReceiveOptions{}) },
			func() { wantMessages(t, full, 1) },
		},
		{
			"Receive",
			func(ctx context.Context) error {
				_, _, err := empty.Receive(ctx, make([]byte, 1), sysv.ReceiveOptions{})
				return err
			},
			func() { sleeping(t, 1, "do_msgrcv") },
			func() { send(t, empty, 1, "z") },
			func() { wantMessages(t, empty, 0) },
		},
	}
}

// counted waits until n threads wait for the first semaphore to increase.
func counted(t testing.TB, s sysv.Set, n int) {
	t.Helper()
	eventually(t, "as many wait as should", func() bool {
		got, err := s.NCount(0)
		check(t, err)
		return got == n
	})
}

func wantMessages(t *testing.T, q sysv.Queue, n uint64) {
	t.Helper()
	if info, err := q.Stat(); err != nil || info.QNum != n {
		t.Errorf("%d messages, %v, want %d", info.QNum, err, n)
	}
}

func TestCancelBefore(t *testing.T) {
	for _, w := range waits(t) {
		err := w.call(cancelled())
		wantError(t, w.name, err, context.Canceled)
		var failed *sysv.Error
		if !errors.As(err, &failed) || failed.Op == "" {
			t.Errorf("%s: error %#v tells no operation", w.name, err)
		}
		w.undone()
	}
}

// TestDoneContext makes calls that need not wait, with a done context: they do nothing.
func TestDoneContext(t *testing.T) {
	set, queue, full := createSetWith(t, 1), createQueue(t, sysv.Private, 0o600), createQueue(t, sysv.Private, 0o600)
	send(t, full, 1, "x")
	_, _, received := full.Receive(cancelled(), make([]byte, 1), sysv.ReceiveOptions{})
	for name, err := range map[string]error{
		"Do": set.Do(cancelled(), sysv.Op{Add: -1}), "Wait": set.Wait(cancelled(), sysv.Op{Add: -1}),
		"Send": queue.Send(cancelled(), 1, nil), "Receive": received,
	} {
		wantError(t, name, err, context.Canceled)
	}
	wantValues(t, "in the end", set, 1)
	for q, want := range map[sysv.Queue]uint64{queue: 0, full: 1} {
		if info, err := q.Stat(); err != nil || info.QNum != want {
			t.Errorf("%d messages, %v, want %d", info.QNum, err, want)
		}
	}
}

func TestCancelDuring(t *testing.T) {
	for _, w := range waits(t) {
		for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
			ctx, cancel := context.WithCancel(context.Background())
			if errors.Is(cause, context.DeadlineExceeded) {
				ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
			}
			result := background(t, func() error { return w.call(ctx) })
			if errors.Is(cause, context.Canceled) {
				w.waiting()
				cancel()
			}
			wantError(t, w.name, result(), cause)
			w.undone()
			cancel()
		}
		// The call can be made again.
		result := background(t, func() error { return w.call(t.Context()) })
		w.waiting()
		w.release()
		wantError(t, w.name+" after cancelled ones", result(), nil)
	}
}

// storm sends signals to every thread of this process, ten thousand a second in all, until
// stopped. (Signals sent to the process would all go to the same thread.)
func storm(t testing.TB, signals ...unix.Signal) (stop func()) {
	t.Helper()
	const pause = 100 * time.Microsecond
	done := make(chan struct{})
	sent := 0
	var storm sync.WaitGroup
	begin := time.Now()
	storm.Go(func() {
		for {
			for _, tid := range threads(t) {
				_ = unix.Tgkill(os.Getpid(), tid, signals[sent%len(signals)]) // it may have ended
				sent++
				next := begin.Add(time.Duration(sent) * pause)
				for late := false; !late; runtime.Gosched() { // a slow machine is always late
					select {
					case <-done:
						return
					default:
					}
					late = !time.Now().Before(next)
				}
			}
		}
	})
	return func() {
		close(done)
		storm.Wait()
		t.Logf("%d signals in %v", sent, time.Since(begin))
	}
}

// threads returns the ids of this process's threads.
func threads(t testing.TB) (tids []int) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Error(err)
		}
		tids = append(tids, tid)
	}
	return tids
}

// TestSignalStorm makes every call that waits while signals arrive: none may return early,
// or with EINTR.
func TestSignalStorm(t *testing.T) {
	defer storm(t, unix.SIGURG, unix.SIGWINCH, unix.SIGCHLD)()
	const long = 150 * time.Millisecond
	for _, w := range waits(t) {
		for name, ctx := range map[string]context.Context{"": t.Context(), " for ever": context.Background()} {
			result := background(t, func() error { return w.call(ctx) })
			w.waiting()
			time.Sleep(long) // in the storm
			w.waiting()      // and still
			w.release()
			wantError(t, w.name+name, result(), nil)
		}
	}
}

// TestPingPongInAStorm passes a token back and forth while signals arrive.
func TestPingPongInAStorm(t *testing.T) {
	defer storm(t, unix.SIGURG, unix.SIGWINCH)()
	set, queues := createSetWith(t, 1, 0), [2]sysv.Queue{createQueue(t, sysv.Private, 0o600), createQueue(t, sysv.Private, 0o600)}
	const rounds = 10000
	var players sync.WaitGroup
	for me := range uint16(2) {
		players.Go(func() {
			for range rounds {
				if err := set.Do(t.Context(), sysv.Op{Num: me, Add: -1}); err != nil {
					t.Error(err)
				}
				if err := set.Do(t.Context(), sysv.Op{Num: 1 - me, Add: 1}); err != nil {
					t.Error(err)
				}
			}
		})
		players.Go(func() {
			var buf [8]byte
			for range rounds {
				if err := queues[me].Send(t.Context(), 1, buf[:]); err != nil {
					t.Error(err)
				}
				if _, _, err := queues[1-me].Receive(t.Context(), buf[:], sysv.ReceiveOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	players.Wait()
	wantValues(t, "in the end", set, 1, 0)
}

// TestGarbageCollection collects while every call waits. The collector must know that
// their threads are asleep: if it believes that a thread runs, it wakes the thread by a
// signal or waits for it.
func TestGarbageCollection(t *testing.T) {
	all := waits(t)
	type waiter struct {
		result func() error
		tid    int
		slept  string // how often, as the kernel counts
	}
	waiters := make([]waiter, len(all))
	for i, w := range all {
		tid := make(chan int, 1)
		waiters[i].result = background(t, func() error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid <- unix.Gettid()
			return w.call(t.Context())
		})
		w.waiting()
		waiters[i].tid = <-tid
	}
	// The scheduler notices a sleeping call a little later.
	time.Sleep(50 * time.Millisecond)
	for i := range waiters {
		waiters[i].slept = timesSlept(t, waiters[i].tid)
	}

	collected := background(t, func() error {
		for range 20 {
			runtime.GC()
		}
		return nil
	})
	check(t, collected())
	for i, w := range all {
		if slept := timesSlept(t, waiters[i].tid); slept != waiters[i].slept {
			t.Errorf("%s: its thread slept %s times, and %s before the collections", w.name, slept, waiters[i].slept)
		}
		w.release()
		wantError(t, w.name, waiters[i].result(), nil)
	}
}

// timesSlept returns how often a thread has given up the processor to wait.
func timesSlept(t *testing.T, tid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", tid))
	check(t, err)
	for line := range strings.Lines(string(status)) {
		if count, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
			return strings.TrimSpace(count)
		}
	}
	t.Fatalf("no count of context switches in\n%s", status)
	return ""
}

// TestManyWaiters cancels 500 calls at once, and checks that nothing is left of them.
func TestManyWaiters(t *testing.T) {
	const n = 500
	goroutines := runtime.NumGoroutine()
	set := createSetWith(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, n)
	for range n {
		go func() { errs <- set.Do(ctx, sysv.Op{Add: -1}) }()
	}
	counted(t, set, n)
	start := time.Now()
	cancel()
	for range n {
		wantError(t, "Do", <-errs, context.Canceled)
	}
	t.Logf("cancelled %d waiters in %v", n, time.Since(start))
	counted(t, set, 0)
	wantValues(t, "in the end", set, 0)
	eventually(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// TestWaitsLeaveNothing cancels and releases hundreds of calls, and checks that the number
// of goroutines and threads does not grow.
func TestWaitsLeaveNothing(t *testing.T) {
	set := createSetWith(t, 0)
	turn := func(i int) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		result := background(t, func() error { return set.Do(ctx, sysv.Op{Add: -1}) })
		counted(t, set, 1)
		if i%2 == 0 {
			cancel()
			wantError(t, "Do, cancelled", result(), context.Canceled)
		} else {
			check(t, set.Do(t.Context(), sysv.Op{Add: 1}))
			wantError(t, "Do, released", result(), nil)
		}
	}
	for i := range 20 {
		turn(i)
	}
	goroutines, before := runtime.NumGoroutine(), len(threads(t))
	for i := range 400 {
		turn(i)
	}
	eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
	if after := len(threads(t)); after > before+5 {
		t.Errorf("%d threads, %d before", after, before)
	}
}

// TestNoTokenIsLost lets waits succeed at the moment they are cancelled: each call reports
// correctly whether it took a token.
func TestNoTokenIsLost(t *testing.T) {
	const tokens, takers = 3000, 8
	set := createSetWith(t, 0)
	var taken, cancelled atomic.Int64
	done := make(chan struct{})
	var workers sync.WaitGroup
	for range takers {
		workers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(300))*time.Microsecond)
				switch err := set.Do(ctx, sysv.Op{Add: -1}); {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					cancelled.Add(1)
				default:
					t.Error(err)
				}
				cancel()
			}
		})
	}
	for range tokens {
		check(t, set.Do(t.Context(), sysv.Op{Add: 1}))
		if rand.IntN(2) == 0 {
			time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
		}
	}
	close(done)
	workers.Wait()
	left, err := set.Value(0)
	check(t, err)
	if taken.Load()+int64(left) != tokens {
		t.Errorf("%d taken and %d left of %d tokens", taken.Load(), left, tokens)
	}
	if taken.Load() == 0 || cancelled.Load() == 0 {
		t.Errorf("%d taken, %d cancelled: that proves nothing", taken.Load(), cancelled.Load())
	}
	t.Logf("%d taken, %d left, %d cancelled", taken.Load(), left, cancelled.Load())
}

// TestNoMessageIsLost does the same with a queue, whose senders are cancelled too.
func TestNoMessageIsLost(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o600}, 16)) // soon full
	var sent, received, cancelled atomic.Int64
	work := func(count *atomic.Int64, call func(context.Context) error) func() {
		return func() {
			for range 2500 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(100))*time.Microsecond)
				switch err := call(ctx); {
				case err == nil:
					count.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					cancelled.Add(1)
				default:
					t.Error(err)
				}
				cancel()
			}
		}
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(work(&sent, func(ctx context.Context) error { return queue.Send(ctx, 1, []byte("8 bytes.")) }))
		workers.Go(work(&received, func(ctx context.Context) error {
			_, _, err := queue.Receive(ctx, make([]byte, 8), sysv.ReceiveOptions{})
			return err
		}))
	}
	workers.Wait()
	info, err := queue.Stat()
	check(t, err)
	if sent.Load() != received.Load()+int64(info.QNum) {
		t.Errorf("%d sent, %d received, %d left", sent.Load(), received.Load(), info.QNum)
	}
	if sent.Load() == 0 || cancelled.Load() == 0 {
		t.Errorf("%d sent, %d cancelled: that proves nothing", sent.Load(), cancelled.Load())
	}
	t.Logf("%d sent, %d received, %d left, %d cancelled", sent.Load(), received.Load(), info.QNum, cancelled.Load())
}

// BenchmarkCancel measures from the cancellation of a sleeping call to its return.
func BenchmarkCancel(b *testing.B) {
	set := createSetWith(b, 0)
	for b.Loop() {
		b.StopTimer()
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() { result <- set.Do(ctx, sysv.Op{Add: -1}) }()
		counted(b, set, 1)
		b.StartTimer()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
	}
}

// TestErrorText checks the text of an error that a waiting call returns.
func TestErrorText(t *testing.T) {
	set := createSetWith(t, 0)
	err := set.Do(cancelled(), sysv.Op{Add: -1})
	if err == nil || !strings.HasPrefix(err.Error(), "semop sem:") || !strings.HasSuffix(err.Error(), ": context canceled") {
		t.Errorf("error %q, want semop sem:ID: context canceled", err)
	}
}
