package storm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// TestManyWaiters lets 500 goroutines wait in five ways and cancels them all at once.
// No goroutine and no waiter in the kernel may remain.
func TestManyWaiters(t *testing.T) {
	const each = 100
	goroutines := runtime.NumGoroutine()
	set, queue := newSet(t, append(semops.MutexValues(), 0)...), newQueue(t, 1)
	mu, err := semops.NewMutex(set, 0, 1)
	check(t, err)
	check(t, locking(mu.Lock)(t.Context()))
	mem, err := posix.MapAnonymous(4096, nil)
	check(t, err)
	defer mem.Unmap()
	sem, err := posix.InitSemaphore(mem, 0, 0)
	check(t, err)
	posixQueue := newPOSIXQueue(t, "/many")

	ctx, cancel := context.WithCancel(t.Context())
	var all []wait
	for range each {
		all = append(
			all,
			wait{name: "Do", call: func(ctx context.Context) error { return set.Do(ctx, sysv.Op{Num: 2, Add: -1}) }},
			wait{name: "Lock", call: locking(mu.Lock)},
			wait{name: "Receive", call: func(ctx context.Context) error {
				_, _, err := queue.Receive(ctx, nil, sysv.ReceiveOptions{})
				return err
			}},
			wait{name: "Acquire", call: func(ctx context.Context) error { return sem.Acquire(ctx, 1) }},
			wait{name: "Receive of POSIX", call: func(ctx context.Context) error {
				_, _, err := posixQueue.Receive(ctx, make([]byte, 1))
				return err
			}},
		)
	}
	results := start(ctx, all)
	waiting := func() (n int) {
		for num := range 3 {
			count, err := set.NCount(num)
			check(t, err)
			n += count
		}
		posix, err := sem.Waiters()
		check(t, err)
		return n + posix
	}
	eventually(t, "three of five wait, as far as can be counted", func() bool { return waiting() == 3*each })
	cancel()
	for i, result := range results {
		if err := receive(t, result, all[i].name); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want a cancellation", all[i].name, err)
		}
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d wait still", n)
	}
	check(t, mu.Unlock())
	eventually(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// waitOnSet lets goroutines wait on the second semaphore of a set, and cancels them
// once all do, three times.
func waitOnSet(set sysv.Set, waiters int) error {
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		results := make(chan error, waiters)
		for range waiters {
			go func() { results <- set.Do(ctx, sysv.Op{Num: 1, Add: -1}) }()
		}
		for n := 0; n < waiters; runtime.Gosched() {
			var err error
			if n, err = set.NCount(1); err != nil {
				cancel()
				return err
			}
		}
		cancel()
		for range waiters {
			if err := <-results; !errors.Is(err, context.Canceled) {
				return fmt.Errorf("error %w, want a cancellation", err)
			}
		}
	}
	return nil
}

// spare is how many threads the Go runtime may have besides the waiting ones.
const spare = 16

// setOf parses the set that a test passes to its process.
func setOf(arg string) sysv.Set {
	id, err := strconv.Atoi(arg)
	if err != nil {
		panic(err)
	}
	return sysv.Set(id)
}

// playFewThreads waits with as many threads as the runtime allows.
func playFewThreads(args []string) error {
	const waiters = 60
	debug.SetMaxThreads(waiters + spare)
	return waitOnSet(setOf(args[0]), waiters)
}

// playFewProcesses waits with as many threads as its user may have.
func playFewProcesses(args []string) error {
	const waiters = 30
	limit := &unix.Rlimit{Cur: waiters + spare, Max: waiters + spare}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, limit); err != nil {
		return err
	}
	return waitOnSet(setOf(args[0]), waiters)
}

// TestFewThreads waits with hardly more threads than waiters: a wait costs one thread,
// cancelling none.
func TestFewThreads(t *testing.T) {
	set := newSet(t, 0, 0)
	ipctest.Start(t, "few threads", nil, strconv.Itoa(int(set))).Wait()
}

// TestFewProcesses does the same under a limit on the threads of a user who has no other
// processes.
func TestFewProcesses(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	set := newSet(t, 0, 0)
	check(t, set.SetOwnership(sysv.Ownership{Mode: 0o666}))
	user := uint32(60000 + os.Getpid()%5000) // distinct from concurrent runs
	ipctest.Start(t, "few processes", &syscall.Credential{Uid: user, Gid: user}, strconv.Itoa(int(set))).Wait()
}

// playTooMany runs a child process that waits with more threads than it may have, and
// prints how that ended. (A failure of this process itself would fail the test.)
func playTooMany(args []string) error {
	if len(args) == 1 {
		cmd := exec.Command("/proc/self/exe", args[0], "really")
		if _, err := cmd.StdinPipe(); err != nil { // it would exit at end of input
			return err
		}
		out, err := cmd.CombinedOutput()
		fmt.Println(err != nil && strings.Contains(string(out), "thread exhaustion"))
		return nil
	}
	set := setOf(args[0])
	if err := set.Do(context.Background(), sysv.Op{Add: 1, Undo: true}); err != nil {
		return err
	}
	debug.SetMaxThreads(spare)
	return waitOnSet(set, 4*spare)
}

// TestTooManyThreads: the runtime ends a program with too many waiters, as documented.
// No waiter remains, and its operations are undone.
func TestTooManyThreads(t *testing.T) {
	set := newSet(t, 0, 0)
	if got := ipctest.Start(t, "too many", nil, strconv.Itoa(int(set))).Wait(); got != "true\n" {
		t.Errorf("the program said %q, want thread exhaustion", got)
	}
	values, err1 := set.Values()
	waiting, err2 := set.NCount(1)
	pid, err3 := set.PID(0)
	check(t, errors.Join(err1, err2, err3))
	if values[0] != 0 || waiting != 0 || pid == 0 {
		t.Errorf("values %v, %d waiters, last used by %d; want everything undone", values, waiting, pid)
	}
}
