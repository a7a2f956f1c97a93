package semops_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

func newSemaphore(t testing.TB, set sysv.Set, num int) *semops.Semaphore {
	t.Helper()
	s, err := semops.NewSemaphore(set, num, nil)
	must(t, err)
	return s
}

func TestSemaphore(t *testing.T) {
	w := newWorld(t, []uint16{0, 3})
	s := newSemaphore(t, w.set, 1)
	ctx := within(t)
	must(t, s.Acquire(ctx, 2))
	ok, err := s.TryAcquire(2)
	if ok || err != nil {
		t.Fatalf("TryP(2) of 1 = %v, %v", ok, err)
	}
	ok, err = s.TryAcquire(1)
	if !ok || err != nil {
		t.Fatalf("TryP(1) of 1 = %v, %v", ok, err)
	}
	must(t, s.WaitZero(ctx))
	must(t, s.Release(5))
	if v, err := s.Value(); v != 5 || err != nil {
		t.Fatalf("Value = %d, %v; want 5", v, err)
	}

	waiting := run(func() error { return s.Acquire(ctx, 6) })
	w.asleep(1, 1)
	zero := run(func() error { return s.WaitZero(ctx) })
	w.asleepZero(1, 1)
	pending(t, waiting)
	pending(t, zero)
	must(t, s.Release(1))
	must(t, result(t, waiting))
	must(t, result(t, zero))
	if got := w.values(); got[0] != 0 || got[1] != 0 {
		t.Errorf("values %v; want zeros", got)
	}
}

func TestSemaphoreRange(t *testing.T) {
	w := newWorld(t, []uint16{7})
	s := newSemaphore(t, w.set, 0)
	for _, n := range []int{-32768, -1, 0, 32768, 65536, 65537, math.MinInt, math.MaxInt} {
		if err := s.Acquire(within(t), n); err == nil {
			t.Errorf("P(%d) succeeded", n)
		}
		if err := s.Release(n); err == nil {
			t.Errorf("V(%d) succeeded", n)
		}
		if ok, err := s.TryAcquire(n); ok || err == nil {
			t.Errorf("TryP(%d) = %v, %v", n, ok, err)
		}
	}
	mustBe(t, s.Release(32767), unix.ERANGE)
	if v, err := s.Value(); v != 7 || err != nil {
		t.Errorf("Value = %d, %v; want 7", v, err)
	}
	for _, num := range []int{-1, 1, 65536, math.MaxInt} {
		if _, err := semops.NewSemaphore(w.set, num, nil); err == nil {
			t.Errorf("there is a semaphore %d", num)
		}
	}
}

func TestSemaphoreUndo(t *testing.T) {
	w := newWorld(t, []uint16{5, 5})
	c := w.start("undo")
	if got := c.line(t); got != "done" {
		t.Fatal(got)
	}
	if got := w.values(); got[0] != 3 || got[1] != 3 {
		t.Fatalf("values %v; want 3 3", got)
	}
	c.kill()
	if got := w.values(); got[0] != 5 || got[1] != 3 {
		t.Fatalf("values %v after the kill; want 5, undone, and 3", got)
	}
}

func TestSemaphoreCancel(t *testing.T) {
	w := newWorld(t, []uint16{1})
	s := newSemaphore(t, w.set, 0)
	ctx, cancel := context.WithCancel(context.Background())
	waiting := run(func() error { return s.Acquire(ctx, 2) })
	w.asleep(0, 1)
	cancel()
	mustBe(t, result(t, waiting), context.Canceled)
	mustBe(t, s.Acquire(ctx, 2), context.Canceled)
	mustBe(t, s.Acquire(ctx, 1), context.Canceled) // although it need not wait
	if got := w.values()[0]; got != 1 {
		t.Errorf("value %d; want 1", got)
	}
}

func TestRemovedWhileWaiting(t *testing.T) {
	for range 50 {
		w := newWorld(t, []uint16{0})
		s := newSemaphore(t, w.set, 0)
		began := make(chan bool)
		waiting := run(func() error {
			close(began)
			return s.Acquire(within(t), 1)
		})
		<-began
		if err := w.set.Remove(); err != nil {
			t.Fatal(err)
		}
		err := result(t, waiting)
		if !errors.Is(err, unix.EIDRM) && !errors.Is(err, unix.EINVAL) {
			t.Fatalf("P on a removed set: %v", err)
		}
	}
	w := newWorld(t, []uint16{0})
	s := newSemaphore(t, w.set, 0)
	waiting := run(func() error { return s.Acquire(within(t), 1) })
	w.asleep(0, 1)
	must(t, w.set.Remove())
	err := result(t, waiting)
	mustBe(t, err, unix.EIDRM)
	mustBe(t, err, fs.ErrNotExist)
	mustBe(t, s.Acquire(within(t), 1), unix.EINVAL)
}
