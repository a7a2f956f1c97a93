package shmsync_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmsync"
)

func (w *world) cond(mu *shmsync.Mutex) *shmsync.Cond {
	w.t.Helper()
	c, err := shmsync.NewCond(mu, w.mem, condAt)
	must(w.t, err)
	w.t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, shmsync.ErrClosed) {
			w.t.Error(err)
		}
	})
	return c
}

// playTake takes items, which page.plain counts, one at a time.
func playTake(args []string) error {
	mem, p, err := open(args[0])
	if err != nil {
		return err
	}
	mu, err := shmsync.NewMutex(mem, 0)
	if err != nil {
		return err
	}
	cond, err := shmsync.NewCond(mu, mem, condAt)
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	ctx := context.Background()
	for p.stop.Load() == 0 {
		err := mu.With(ctx, func(bool) error {
			p.ready.Add(1)
			for p.plain == 0 && p.stop.Load() == 0 {
				told, err := cond.Wait(ctx)
				if err == nil && told {
					err = mu.MarkConsistent()
				}
				if err != nil {
					return err
				}
			}
			if p.plain > 0 {
				p.plain--
				p.count[i].n.Add(1)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(cond.Close(), mu.Close())
}

// TestCondKills kills processes that wait for items that this process makes. A living
// process must take each item.
func TestCondKills(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	mu := w.mutex()
	cond := w.cond(mu)
	var children [3]*child
	for i := range children {
		children[i] = w.start(nil, "take", i)
	}
	eventually(t, "the children to wait", func() bool { return w.page.ready.Load() >= 3 })
	for round := range ipctest.Rounds(t, 100, 1) {
		must(t, mu.With(ctx, func(bool) error { w.page.plain++; return nil }))
		must(t, cond.Signal())
		time.Sleep(time.Duration(round*7919%500) * time.Microsecond)
		i := round % len(children)
		children[i].kill()
		eventually(t, "what was put to be taken", func() bool {
			left := uint64(1)
			must(t, mu.With(ctx, func(bool) error { left = w.page.plain; return nil }))
			return left == 0
		})
		children[i] = w.start(nil, "take", i)
	}
	w.page.stop.Store(1)
	must(t, cond.Broadcast())
	for _, c := range children {
		c.wait()
	}
}

// TestCond lets each goroutine wait through its own Mutex and Cond.
func TestCond(t *testing.T) {
	w := newWorld(t)
	const waiters = 4
	done := make(chan error, waiters)
	waiting := 0
	mu := w.mutex()
	for range waiters {
		mine := w.mutex()
		cond := w.cond(mine)
		go func() {
			done <- mine.With(within(t), func(bool) error {
				w.page.second++
				for w.page.plain == 0 {
					if _, err := cond.Wait(within(t)); err != nil {
						return err
					}
				}
				w.page.plain--
				return nil
			})
		}()
	}
	cond := w.cond(mu)
	eventually(t, "all wait", func() bool {
		must(t, mu.With(within(t), func(bool) error { waiting = int(w.page.second); return nil }))
		return waiting == waiters
	})
	put := func(n uint64) { must(t, mu.With(within(t), func(bool) error { w.page.plain += n; return nil })) }
	put(1)
	must(t, cond.Signal())
	must(t, <-done)
	put(waiters - 1)
	must(t, cond.Broadcast())
	for range waiters - 1 {
		must(t, <-done)
	}
}

// TestCondLostSignal checks that a waiter notices a signal that woke another process,
// which may have died.
func TestCondLostSignal(t *testing.T) {
	w := newWorld(t)
	mu := w.mutex()
	cond := w.cond(mu)
	done := make(chan error)
	go func() {
		done <- mu.With(within(t), func(bool) error { _, err := cond.Wait(within(t)); return err })
	}()
	const waitingAt, turnAt = condAt + 24, condAt + 32
	eventually(t, "it waits", func() bool { return w.word(waitingAt).Load() != 0 })
	time.Sleep(20 * time.Millisecond)
	w.word(turnAt).Add(1<<32 | 1) // either half may be the turn; nobody is woken
	must(t, <-done)
}

// TestCondErrors checks the errors of Wait, NewCond and a closed Cond.
func TestCondErrors(t *testing.T) {
	w := newWorld(t)
	mu := w.mutex()
	cond := w.cond(mu)
	_, err := cond.Wait(within(t))
	mustBe(t, err, shmsync.ErrNotHeld)
	short, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	must(t, mu.With(within(t), func(bool) error {
		_, err := cond.Wait(short)
		mustBe(t, err, context.DeadlineExceeded)
		return nil
	}))
	c := w.start(nil, "hold")
	c.line("held")
	c.kill()
	told, err := mu.Lock(within(t))
	if !told || err != nil {
		t.Fatalf("Lock = %v, %v", told, err)
	}
	_, err = cond.Wait(within(t))
	mustBe(t, err, shmsync.ErrInconsistent)
	must(t, errors.Join(mu.MarkConsistent(), mu.Unlock()))

	other, err := shmsync.NewRWMutex(w.mem, rwAt)
	must(t, err)
	must(t, other.Close())
	w.word(condAt + 16).Add(1)
	_, err = shmsync.NewCond(mu, w.mem, condAt)
	mustBe(t, err, shmsync.ErrMismatch)
	w.word(condAt).Add(1)
	_, err = shmsync.NewCond(mu, w.mem, condAt)
	mustBe(t, err, shmsync.ErrNotLock)
	must(t, cond.Close())
	mustBe(t, cond.Close(), shmsync.ErrClosed)
	mustBe(t, cond.Signal(), shmsync.ErrClosed)
	_, err = cond.Wait(within(t))
	mustBe(t, err, shmsync.ErrClosed)
}
