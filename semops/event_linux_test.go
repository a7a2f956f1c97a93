package semops_test

import (
	"context"
	"testing"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

func TestEvent(t *testing.T) {
	w := newWorld(t, semops.EventValues())
	e, err := semops.NewEvent(w.set, 0)
	must(t, err)
	ctx := within(t)
	is := func(want bool) {
		t.Helper()
		if got, err := e.IsSet(); got != want || err != nil {
			t.Fatalf("IsSet = %v, %v; want %v", got, err, want)
		}
	}
	is(false)
	must(t, e.Reset())
	is(false)
	for range 3 {
		var waiting []<-chan error
		for range 3 {
			waiting = append(waiting, run(func() error { return e.Wait(ctx) }))
		}
		c := w.start("event")
		w.asleepZero(0, 4)
		for _, w := range waiting {
			pending(t, w)
		}
		// A pulse wakes sleeping waiters.
		must(t, e.Set())
		must(t, e.Reset())
		for _, w := range waiting {
			must(t, result(t, w))
		}
		must(t, c.wait())
		is(false)
	}
	must(t, e.Set())
	must(t, e.Set())
	is(true)
	must(t, e.Wait(ctx))
	must(t, e.Wait(ctx))
	must(t, e.Reset())
	is(false)

	ctx, cancel := context.WithCancel(ctx)
	waiting := run(func() error { return e.Wait(ctx) })
	w.asleepZero(0, 1)
	cancel()
	mustBe(t, result(t, waiting), context.Canceled)
}

func TestNewEventErrors(t *testing.T) {
	w := newWorld(t, nil)
	_, err := semops.NewEvent(w.set, 0)
	mustBe(t, err, sysv.ErrUninitialized)
	if _, err := semops.NewEvent(w.set, 1); err == nil {
		t.Error("there is a semaphore 1")
	}
}
