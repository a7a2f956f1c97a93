package storm_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// weathers are what happens while calls wait. Each returns a function that ends it.
func weathers(t *testing.T) map[string]func() (stop func()) {
	return map[string]func() func(){
		"signals": func() func() {
			return during(func(done <-chan struct{}) {
				began := time.Now()
				sent := signals(t, done, unix.SIGURG, unix.SIGWINCH, unix.SIGCHLD)
				t.Logf("%d signals in %v", sent, time.Since(began))
			})
		},
		"collections of memory": func() func() {
			return during(func(done <-chan struct{}) {
				for {
					select {
					case <-done:
						return
					default:
						runtime.GC()
					}
				}
			})
		},
		"one processor": func() func() {
			before := runtime.GOMAXPROCS(1)
			return func() { runtime.GOMAXPROCS(before) }
		},
	}
}

// during runs f until the returned function is called.
func during(f func(done <-chan struct{})) (stop func()) {
	done := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() { f(done) })
	return func() {
		close(done)
		over.Wait()
	}
}

// signals sends signals to every thread of this process, ten thousand a second in all,
// until done. (Signals to the process would all go to one thread.)
func signals(t testing.TB, done <-chan struct{}, all ...unix.Signal) (sent int) {
	const pause = 100 * time.Microsecond
	for began := time.Now(); ; {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Error(err)
		}
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			_ = unix.Tgkill(os.Getpid(), tid, all[sent%len(all)]) // the thread may have ended
			sent++
			for next := began.Add(time.Duration(sent) * pause); time.Now().Before(next); runtime.Gosched() {
				select {
				case <-done:
					return sent
				default:
				}
			}
		}
	}
}

// TestEveryWait makes all blocking calls at once in each weather. Each must block until it
// is released, and then succeed; when it is cancelled or times out it must end.
func TestEveryWait(t *testing.T) {
	for range ipctest.Rounds(t, 1, 0) {
		for name, weather := range weathers(t) {
			t.Run(name, func(t *testing.T) { waitAndRelease(t, weather) })
			t.Run(name+", cancelled", func(t *testing.T) { waitAndCancel(t, weather) })
		}
	}
}

// long is how long calls wait in each weather.
const long = 200 * time.Millisecond

func waitAndRelease(t *testing.T, weather func() (stop func())) {
	all, times := waits(t)
	defer weather()()

	begun := time.Now()
	results := start(t.Context(), all)
	timedOut := make(chan string, len(times))
	for _, d := range times {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), long)
			defer cancel()
			err := d.call(ctx)
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took < long {
				t.Errorf("%s with %v left = %v after %v", d.name, long, err, took)
			}
			timedOut <- d.name
		}()
	}
	for range times {
		receive(t, timedOut, "a call with a timeout")
	}
	for i, w := range all {
		select {
		case err := <-results[i]:
			t.Fatalf("%s: %v after %v, before it was released", w.name, err, time.Since(begun))
		default:
		}
	}
	for i, w := range all {
		if err := w.release(); err != nil {
			t.Errorf("release %s: %v", w.name, err)
		}
		if err := receive(t, results[i], w.name); err != nil {
			t.Errorf("%s: %v, want nil when it was released", w.name, err)
		}
	}
}

func waitAndCancel(t *testing.T, weather func() (stop func())) {
	all, _ := waits(t)
	defer weather()()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	for i, result := range start(ctx, all) {
		if err := receive(t, result, all[i].name); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want a deadline error", all[i].name, err)
		}
	}
}

// start makes all calls, each in its own goroutine.
func start(ctx context.Context, all []wait) (results []chan error) {
	for _, w := range all {
		result := make(chan error, 1)
		results = append(results, result)
		go func() { result <- w.call(ctx) }()
	}
	return results
}

// receive receives a value. If none comes it fails the test with a dump of all
// goroutines.
func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s does not return; goroutines:\n%s", what, buf[:runtime.Stack(buf, true)])
	}
	return v
}
