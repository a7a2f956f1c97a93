package posix_test

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// waitingForQueue waits until n threads of this process sleep for a queue.
func waitingForQueue(t testing.TB, n int) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(50 * time.Microsecond) {
		tasks, err := os.ReadDir("/proc/self/task")
		must(t, err)
		count := 0
		for _, task := range tasks {
			at, err := os.ReadFile("/proc/self/task/" + task.Name() + "/wchan")
			if err == nil && (strings.Contains(string(at), "sys_poll") || strings.Contains(string(at), "poll_schedule") || strings.Contains(string(at), "mq_") || strings.Contains(string(at), "wq_sleep")) {
				count++
			}
		}
		if count >= n {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%d threads sleep for a queue, want %d", count, n)
		}
	}
}

// bare opens the queue as a C program would, and returns its sleeping calls.
func bare(t testing.TB, name string) (send, receive func([]byte) error) {
	t.Helper()
	fd, e := abi.MqOpen(name, os.O_RDWR, 0, nil)
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() { unix.Close(fd) })
	later := new(abi.Deadline)
	later.Set(time.Now().Add(patience).Unix(), 0)
	send = func(msg []byte) error {
		if e := abi.MqTimedsend(uintptr(fd), msg, 0, later); e != 0 {
			return e
		}
		return nil
	}
	receive = func(buf []byte) error {
		if _, _, e := abi.MqTimedreceive(uintptr(fd), buf, later); e != 0 {
			return e
		}
		return nil
	}
	return send, receive
}

// A caller that waits with a context is served in its turn among callers that sleep in the
// kernel's own call, as C programs do.
func TestQueueWaitersTakeTurns(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "its threads sleep elsewhere")
	const rounds = 50
	q := createQueue(t, "/q", &posix.QueueOptions{Mode: 0o600, MaxMsgs: 1, MsgSize: 16})
	send, receive := bare(t, "q")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	buf := make([]byte, 16)
	for range rounds {
		winner := make(chan string)
		go func() {
			_, _, err := q.Receive(ctx, make([]byte, 16))
			must(t, err)
			winner <- "with context"
		}()
		waitingForQueue(t, 1)
		go func() {
			must(t, receive(make([]byte, 16)))
			winner <- "bare"
		}()
		waitingForQueue(t, 2)
		for _, want := range []string{"with context", "bare"} {
			must(t, q.Send(ctx, []byte("m"), 0))
			if got := <-winner; got != want {
				t.Fatalf("the receiver %s got a message before the one %s", got, want)
			}
		}

		must(t, q.Send(ctx, []byte("full"), 0))
		go func() { must(t, q.Send(ctx, []byte("with context"), 0)); winner <- "" }()
		waitingForQueue(t, 1)
		go func() { must(t, send([]byte("bare"))); winner <- "" }()
		waitingForQueue(t, 2)
		for _, want := range []string{"full", "with context", "bare"} {
			n, _, err := q.Receive(ctx, buf)
			must(t, err)
			if got := string(buf[:n]); got != want {
				t.Fatalf("received %q, want %q", got, want)
			}
			if want != "bare" {
				<-winner
			}
		}
	}
}

// No message is lost or sent twice if calls are cancelled at the moment they succeed.
func TestQueueLosesNothing(t *testing.T) {
	q := createQueue(t, "/q", small)
	var sent, received, cancelled atomic.Int64
	work := func(count *atomic.Int64, call func(context.Context) error) func() {
		return func() {
			for range 1500 {
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
		workers.Go(work(&sent, func(ctx context.Context) error { return q.Send(ctx, []byte("m"), 0) }))
		workers.Go(work(&received, func(ctx context.Context) error {
			_, _, err := q.Receive(ctx, make([]byte, 16))
			return err
		}))
	}
	workers.Wait()
	a, err := q.Attributes()
	must(t, err)
	if sent.Load() != received.Load()+int64(a.CurMsgs) || cancelled.Load() == 0 {
		t.Errorf("%d sent, %d received, %d left, %d cancelled", sent.Load(), received.Load(), a.CurMsgs, cancelled.Load())
	}
}

// A queue that is closed during waits is released when the last of them ends.
func TestQueueClosedWhileWaiting(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "its threads sleep elsewhere")
	q := createQueue(t, "/q", small)
	other, err := posix.OpenQueue("/q", posix.ReadWrite)
	must(t, err)
	got := make(chan error)
	go func() { _, _, err := other.Receive(t.Context(), make([]byte, 16)); got <- err }()
	waitingForQueue(t, 1)
	before := openFiles(t)
	must(t, other.Close())
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors while one waits, %d before Close", n, before)
	}
	must(t, q.Send(t.Context(), []byte("m"), 0))
	must(t, <-got)
	if n := openFiles(t); n != before-1 {
		t.Errorf("%d descriptors in the end, want %d", n, before-1)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(files)
}

// BenchmarkQueueCancel measures the time from the cancellation of a sleeping Receive to
// its return.
func BenchmarkQueueCancel(b *testing.B) {
	q := createQueue(b, "/q", small)
	for b.Loop() {
		b.StopTimer()
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() { _, _, err := q.Receive(ctx, make([]byte, 16)); result <- err }()
		waitingForQueue(b, 1)
		b.StartTimer()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
	}
}

// BenchmarkQueue sends a message and receives it; nobody waits.
func BenchmarkQueue(b *testing.B) {
	q := createQueue(b, "/q", small)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	buf := make([]byte, 16)
	for b.Loop() {
		pair(b, ctx, q, buf)
	}
}

func pair(t testing.TB, ctx context.Context, q *posix.Queue, buf []byte) {
	if err := q.Send(ctx, buf, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Receive(ctx, buf); err != nil {
		t.Fatal(err)
	}
}

// Sending and receiving allocate nothing if they do not block.
func TestQueueAllocatesNothing(t *testing.T) {
	ipctest.SkipUnderCheckptr(t)
	q := createQueue(t, "/q", small)
	buf := make([]byte, 16)
	most := 0.0
	if bits.UintSize == 32 {
		most = 2 // one for the 64-bit deadline of each call
	}
	if n := testing.AllocsPerRun(100, func() { pair(t, t.Context(), q, buf) }); n > most {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkQueuePingPong passes a message back and forth; each receiver waits.
func BenchmarkQueuePingPong(b *testing.B) {
	there, back := createQueue(b, "/there", small), createQueue(b, "/back", small)
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		buf := make([]byte, 16)
		for {
			n, _, err := there.Receive(ctx, buf)
			if err != nil {
				return
			}
			if back.Send(context.Background(), buf[:n], 0) != nil {
				return
			}
		}
	}()
	buf := make([]byte, 16)
	b.ReportAllocs()
	for b.Loop() {
		if err := there.Send(ctx, buf, 0); err != nil {
			b.Fatal(err)
		}
		if _, _, err := back.Receive(ctx, buf); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
}
