package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// doomedWriter sends messages until it is killed. In the ledger it records the number of
// the next message before it sends one (word 1) and afterwards (word 0).
func doomedWriter([]string) error {
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	w, err := b.JoinWriter(nil)
	if err != nil {
		return err
	}
	if n := w.Published(); n < book[0].Load() || n > book[1].Load() {
		return fmt.Errorf("%d messages are there, %d were sent and %d begun", n, book[0].Load(), book[1].Load())
	}
	fmt.Println("ready")
	for ctx := context.Background(); ; book[0].Store(w.Published()) {
		n := w.Published()
		book[1].Store(n + 1)
		msg := message(n)
		if n%3 > 0 {
			err = w.Send(ctx, msg)
		} else {
			err = w.SendFunc(ctx, len(msg)+100, func(p []byte) (int, error) { return copy(p, msg), nil })
		}
		if err != nil {
			return err
		}
	}
}

// doomedReader receives messages until it is killed: POLICY. It counts them in word 2 of
// the ledger.
func doomedReader(args []string) error {
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	s, err := b.Subscribe(shmring.Policy(number(args[0])), &shmring.SubscribeOptions{FromOldest: rand.IntN(2) == 0, Label: "doomed"})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	first := s.Next()
	var selector shmring.Selector
	for ctx := context.Background(); ; book[2].Add(1) {
		var err error
		switch rand.IntN(3) {
		case 0:
			err = receiveNext(ctx, s)
		case 1:
			err = viewNext(ctx, s)
		default:
			if _, err = selector.Select(ctx, s); err == nil {
				_, _, err = s.TryReceive()
			}
		}
		if err != nil && !errors.Is(err, shmring.ErrPeerDied) && !errors.Is(err, shmring.ErrOverwritten) {
			return err
		}
		if lost := s.Lost(); s.Next() < first || shmring.Policy(number(args[0])) == shmring.Block && lost > 0 {
			return fmt.Errorf("lost %d messages from %d to %d", lost, first, s.Next())
		}
	}
}

// viewNext is receiveNext in place.
func viewNext(ctx context.Context, s *shmring.Subscription) error {
	var got []byte
	err := s.View(ctx, func(msg []byte) error {
		got = append(got[:0], msg...)
		return nil
	})
	if err != nil {
		return err
	}
	if want := message(s.Next() - 1); string(got) != string(want) {
		return fmt.Errorf("message %d, in place, has %d bytes, want %d", s.Next()-1, len(got), len(want))
	}
	return nil
}

// TestKilledBroadcast kills writers and readers at random moments. A living reader never
// sees a message that is torn, comes twice, or was never sent. A reader that blocks misses
// none.
func TestKilledBroadcast(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	testKilledBroadcast(t, 60, makerOfGo(t, self(t)))
}

// TestKilledBroadcastOfC is TestKilledBroadcast with writers and readers in C.
func TestKilledBroadcastOfC(t *testing.T) {
	testKilledBroadcast(t, 60, makerOfC(compileC(t, "broadcast")))
}

func testKilledBroadcast(t *testing.T, rounds int, doomed maker) {
	b, f := newBroadcast(t, 16<<10)
	mem, bookFile := shared(t, 4096)
	book := openLedger(mem)
	ctx, cancel := context.WithCancel(context.Background())
	var received [2]atomic.Uint64
	var readers []func()
	for i, policy := range []shmring.Policy{shmring.Block, shmring.Latest} {
		s := subscribe(t, b, policy, nil)
		readers = append(readers, func() {
			for {
				err := receiveNext(ctx, s)
				switch {
				case errors.Is(err, context.Canceled):
					if n := received[i].Load(); n+s.Lost() != s.Next() || policy == shmring.Block && s.Lost() > 0 {
						t.Errorf("policy %d: received %d, lost %d, next %d", policy, n, s.Lost(), s.Next())
					}
					return
				case errors.Is(err, shmring.ErrPeerDied):
				case err != nil:
					t.Error(err)
					return
				default:
					received[i].Add(1)
				}
			}
		})
	}
	together(readers[0], readers[1], func() {
		defer cancel()
		killAll(t, rounds, func(i int) (*exec.Cmd, bool) {
			before, count := received[0].Load(), book[2].Load()
			role, args := "broadcaster", []any(nil)
			if i > 0 {
				role, args = "listener", []any{i} // a policy
			}
			cmd := doomed(f, role, args...)
			cmd.ExtraFiles = append(cmd.ExtraFiles, bookFile)
			child := start(t, cmd)
			return child, eventually(func() bool { return received[0].Load() > before && (i == 0 || book[2].Load() > count) })
		})
	})
	t.Logf("%d and %d messages of %d", received[0].Load(), received[1].Load(), book[0].Load())
}

// killAll keeps three processes running, which begin starts, and kills one of them in each
// round. begin reports whether the new process makes progress.
func killAll(t *testing.T, rounds int, begin func(i int) (*exec.Cmd, bool)) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	children := make([]*exec.Cmd, 3)
	var ok bool
	for i := range children {
		if children[i], ok = begin(i); !ok {
			t.Errorf("seed %d: nothing arrives at the start of %d", seed, i)
			return
		}
	}
	for round := range ipctest.Rounds(t, rounds, 1) {
		i := rng.IntN(len(children))
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		kill(t, children[i])
		if children[i], ok = begin(i); !ok {
			t.Errorf("seed %d, round %d: nothing arrives any more", seed, round)
			return
		}
	}
	for _, child := range children {
		kill(t, child)
	}
}

// holdSubscription, POLICY LABEL, subscribes, prints "ready" and receives nothing.
func holdSubscription(args []string) error {
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	if _, err := b.Subscribe(shmring.Policy(number(args[0])), &shmring.SubscribeOptions{Label: args[1]}); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestBroadcastStopped stops a reader that blocks. The writer's error names the reader.
// When the reader is killed, the writer goes on at once.
func TestBroadcastStopped(t *testing.T) {
	ctx := background(t)
	b, f := newBroadcast(t, 1<<12)
	child := start(t, goPeer(t, self(t), f, "subscriber", int(shmring.Block), "stopped"))
	noError(t, child.Process.Signal(unix.SIGSTOP))
	w := writer(t, b, &shmring.WriterOptions{MaxWait: 20 * time.Millisecond})
	var err error
	for err == nil {
		err = sendNext(ctx, w)
	}
	var e *shmring.SlowError
	if !errors.As(err, &e) || len(e.Readers) != 1 || e.Readers[0].PID != child.Process.Pid || e.Readers[0].Label != "stopped" || e.Readers[0].Behind != w.Published() {
		t.Errorf("Send = %v, want the stopped process %d", err, child.Process.Pid)
	}
	kill(t, child)
	if err := sendNext(ctx, w); err != nil {
		t.Errorf("Send after the reader died: %v", err)
	}
	if all, err := b.Subscribers(); len(all) != 0 || err != nil {
		t.Errorf("Subscribers = %v, %v, want none", all, err)
	}
	// Now the reader dies while the writer waits.
	child = start(t, goPeer(t, self(t), f, "subscriber", int(shmring.Block), "killed"))
	patient := background(t)
	over := make(chan error, 1)
	full := make(chan struct{})
	noError(t, w.Close())
	w = writer(t, b, nil)
	go func() {
		for range 1000 {
			select {
			case <-full:
			default:
				if all, _ := b.Subscribers(); len(all) == 1 && all[0].Behind >= 5 {
					close(full)
				}
			}
			if err := sendNext(patient, w); err != nil {
				over <- err
				return
			}
		}
		over <- nil
	}()
	<-full
	kill(t, child)
	if err := <-over; err != nil {
		t.Errorf("Send while the reader died: %v", err)
	}
}

// TestBroadcastWriterDies kills the writer while a reader waits.
func TestBroadcastWriterDies(t *testing.T) {
	ctx := background(t)
	b, f := newBroadcast(t, 1<<12)
	_, bookFile := shared(t, 4096)
	s := subscribe(t, b, shmring.Latest, nil)
	child := doom(t, f, bookFile, "broadcaster")
	noError(t, receiveNext(ctx, s))
	kill(t, child)
	var err error
	for err == nil {
		err = receiveNext(ctx, s)
	}
	if !errors.Is(err, shmring.ErrPeerDied) {
		t.Errorf("Receive = %v, want ErrPeerDied", err)
	}
	if alive, err := b.Writer(); alive || err != nil {
		t.Errorf("Writer = %v, %v, want a dead one", alive, err)
	}
	if !b.Abandoned() {
		t.Error("Abandoned = false after the writer was killed")
	}
	w := writer(t, b, nil)
	if b.Abandoned() {
		t.Error("Abandoned = true with a writer")
	}
	noError(t, sendNext(ctx, w))
	noError(t, receiveNext(ctx, s))
}

// scribbleBroadcast overwrites words of the broadcast until it is killed: SEED.
func scribbleBroadcast(args []string) error {
	return scribbleOver(args, 16<<10, []int{16, 32, 48, 64, 65, 80, 81, 82, 83, 128, 384, 512, 513, 514})
}

// scribbleCell overwrites words of the cell until it is killed: SEED.
func scribbleCell(args []string) error {
	return scribbleOver(args, 0, []int{16, 48, 80, 81, 82, 83, 84, 85, 86, 87, 388, 389})
}

// TestMadBroadcast uses a broadcast while a peer writes garbage into it. Every call ends,
// without a panic.
func TestMadBroadcast(t *testing.T) {
	_, f := shared(t, shmring.BroadcastSize(16<<10))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	for trial := range ipctest.Rounds(t, 20, 1) {
		b, err := shmring.CreateBroadcastIn(m, 0)
		noError(t, err)
		child := goPeer(t, self(t), f, "madBroadcast", trial)
		noError(t, child.Start())
		end := time.Now().Add(150 * time.Millisecond)
		together(
			func() { madWriter(t, b, end) },
			func() { madReader(t, b, shmring.Block, end) },
			func() { madReader(t, b, shmring.Latest, end) },
			func() {
				for time.Now().Before(end) {
					if again, err := shmring.OpenBroadcastIn(m); err == nil {
						_, _ = again.Subscribers()
						again.Close()
					}
				}
			},
		)
		kill(t, child)
		noError(t, b.Close())
	}
	noError(t, m.Unmap())
}

func madWriter(t *testing.T, b *shmring.Broadcast, end time.Time) {
	for time.Now().Before(end) {
		w, err := b.JoinWriter(nil)
		if err != nil {
			continue
		}
		for i := 0; i < 200 && time.Now().Before(end); i++ {
			limited(t, "Send", func(ctx context.Context) { _ = w.Send(ctx, make([]byte, i*40)) })
		}
		w.Close()
	}
}

func madReader(t *testing.T, b *shmring.Broadcast, p shmring.Policy, end time.Time) {
	for i := 0; time.Now().Before(end); i++ {
		s, err := b.Subscribe(p, &shmring.SubscribeOptions{FromOldest: i%2 == 0})
		if err != nil {
			continue
		}
		for i := 0; i < 200 && time.Now().Before(end); i++ {
			limited(t, "Receive", func(ctx context.Context) { _, _ = s.Receive(ctx) })
			limited(t, "View", func(ctx context.Context) {
				_ = s.View(ctx, func(msg []byte) error { clear(make([]byte, len(msg))); return nil })
			})
			_, _, _ = s.TryReceive()
		}
		s.Close()
	}
}
