package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// A job is a value whose parts follow from its sender and number.
type job struct {
	Sender, Number uint64
	Sum            [5]uint64
}

func newJob(sender, number uint64) job {
	j := job{Sender: sender, Number: number}
	for i := range j.Sum {
		j.Sum[i] = sender*1_000_003 + number*31 + uint64(i)
	}
	return j
}

// newChan makes a Chan of the capacity in memory of its own.
func newChan[T any](t testing.TB, capacity int, p shmring.Producers) (*shmring.Chan[T], *os.File) {
	t.Helper()
	_, f := shared(t, shmring.Size(capacity))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	c, err := shmring.CreateChanIn[T](m, &shmring.Options{Producers: p, Capacity: capacity})
	noError(t, err)
	t.Cleanup(func() { _ = errors.Join(c.Close(), m.Unmap()) })
	return c, f
}

func TestChan(t *testing.T) {
	ctx := background(t)
	both(t, func(t *testing.T, kind shmring.Producers) {
		c, _ := newChan[job](t, 1<<12, kind)
		s, err := c.JoinSender()
		noError(t, err)
		r, err := c.JoinReceiver()
		noError(t, err)
		sent := uint64(0)
		for ok := true; ok; sent++ {
			ok, err = s.TrySend(newJob(1, sent))
			noError(t, err)
		}
		if sent--; sent != 1<<12/64 {
			t.Errorf("%d values fit, want %d", sent, 1<<12/64)
		}
		if v, ok, err := r.TryReceive(); v != newJob(1, 0) || !ok || err != nil {
			t.Errorf("TryReceive = %v, %v, %v", v, ok, err)
		}
		next := uint64(1)
		together(
			func() {
				for i := sent; i < 1000; i++ {
					if err := s.Send(ctx, newJob(1, i)); err != nil {
						t.Error(err)
						return
					}
				}
				if err := errors.Join(s.Flush(ctx), s.Close()); err != nil {
					t.Error(err)
				}
			},
			func() {
				for v, err := range r.Values(ctx) {
					if v != newJob(1, next) || err != nil {
						t.Errorf("value %v, %v, want %d", v, err, next)
						return
					}
					next++
				}
			})
		if next != 1000 {
			t.Errorf("received %d, want 1000", next)
		}
		t.Run("NoAllocation", func(t *testing.T) {
			ipctest.SkipUnderCheckptr(t)
			if n := testing.AllocsPerRun(10, func() { _, _, _ = r.TryReceive() }); n != 0 {
				t.Errorf("TryReceive makes %v allocations", n)
			}
		})
		noError(t, r.Close())
		if _, err := r.Receive(ctx); !errors.Is(err, shmring.ErrClosed) {
			t.Errorf("Receive after Close: %v", err)
		}
		done, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.Send(done, job{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Send with a done context: %v", err)
		}
	})
}

// TestChanTypes opens a Chan as another type or as a ring, and a ring as a Chan.
func TestChanTypes(t *testing.T) {
	ctx := background(t)
	const name = "/chan-types"
	c, err := shmring.OpenOrCreateChan[job](ctx, name, 100, nil)
	noError(t, err)
	if got := c.Ring().Capacity(); got != 8192 || c.Ring().Producers() != shmring.Many {
		t.Errorf("capacity %d, %v", got, c.Ring().Producers())
	}
	type other struct {
		Sender, Number uint64
		Sum            [5]int64
	}
	if _, err := shmring.OpenOrCreateChan[other](ctx, name, 100, nil); !errors.Is(err, shmring.ErrMismatch) || !strings.Contains(err.Error(), `"Sum@16 [5]uint64;}", not "Sum@16 [5]int64;}"`) {
		t.Errorf("another type: %v, want ErrMismatch", err)
	}
	if _, err := shmring.OpenOrCreateChan[job](ctx, name, 1000, nil); !errors.Is(err, shmring.ErrMismatch) {
		t.Errorf("another size: %v, want ErrMismatch", err)
	}
	if _, err := shmring.OpenOrCreate(ctx, name, &shmring.NamedOptions{Producers: shmring.Many}); !errors.Is(err, shmring.ErrMismatch) {
		t.Errorf("as a ring: %v, want ErrMismatch", err)
	}
	same, err := shmring.OpenOrCreateChan[job](ctx, name, 0, nil)
	noError(t, err)
	noError(t, errors.Join(same.Close(), c.Remove(), c.Close()))
	if _, err := shmring.OpenOrCreateChan[*int](ctx, name, 1, nil); !errors.Is(err, shmring.ErrPointers) {
		t.Errorf("pointers: %v, want ErrPointers", err)
	}
	for _, n := range []int{-1, math.MaxInt} {
		if _, err := shmring.OpenOrCreateChan[job](ctx, name, n, nil); !errors.Is(err, shmring.ErrTooLarge) {
			t.Errorf("%d values: %v, want ErrTooLarge", n, err)
		}
	}
	ring, err := shmring.OpenOrCreate(ctx, name, nil)
	noError(t, err)
	if _, err := shmring.OpenOrCreateChan[job](ctx, name, 0, &shmring.NamedOptions{Producers: shmring.One}); !errors.Is(err, shmring.ErrMismatch) {
		t.Errorf("a ring as a Chan: %v, want ErrMismatch", err)
	}
	noError(t, errors.Join(ring.Remove(), ring.Close()))
}

// doomedSender sends jobs until it is killed: NUMBER.
func doomedSender(args []string) error {
	c, err := inherited(3, shmring.OpenChanIn[job])
	if err != nil {
		return err
	}
	s, err := c.JoinSender()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for i := uint64(0); ; i++ {
		if err := s.Send(context.Background(), newJob(uint64(number(args[0])), i)); err != nil {
			return err
		}
	}
}

// TestKilledSenders kills senders at random moments. Each value arrives whole and once, in
// the order in which its sender sent it.
func TestKilledSenders(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	c, f := newChan[job](t, 1<<12, shmring.Many)
	r, err := c.JoinReceiver()
	noError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	next := map[uint64]uint64{}
	received := make(chan uint64, 1) // the sender of the last value
	together(
		func() {
			for {
				j, err := r.Receive(ctx)
				switch {
				case errors.Is(err, context.Canceled):
					return
				case errors.Is(err, shmring.ErrPeerDied), errors.Is(err, io.EOF):
					continue
				case err != nil || j != newJob(j.Sender, next[j.Sender]):
					t.Errorf("received %v, %v, want %d", j, err, next[j.Sender])
					return
				}
				next[j.Sender]++
				select {
				case received <- j.Sender:
				default:
				}
			}
		},
		func() {
			defer cancel()
			var children []*exec.Cmd
			for round := range ipctest.Rounds(t, 60, 1) {
				children = append(children, start(t, goPeer(t, self(t), f, "sender", round)))
				for began := time.Now(); <-received != uint64(round); {
					if time.Since(began) > 10*time.Second {
						t.Errorf("nothing of sender %d arrives", round)
						return
					}
				}
				if i := rand.IntN(len(children)); len(children) == 3 {
					kill(t, children[i])
					children = slices.Delete(children, i, i+1)
				}
			}
			for _, child := range children {
				kill(t, child)
			}
		})
	noError(t, r.Close())
}
