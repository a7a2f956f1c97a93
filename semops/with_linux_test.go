package semops_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/sysvipc/gipc/semops"
)

// A holder that fails or panics within With leaves the lock free. The next holder is told
// if something may be half changed.
func TestWith(t *testing.T) {
	type lock interface {
		tryLocker
		With(ctx context.Context, f func(abandoned bool) error) error
		Unlock() error
	}
	w := newWorld(t, slices.Concat(semops.MutexValues(), semops.RWMutexValues()))
	rw, err := semops.NewRWMutex(w.set, 2)
	must(t, err)
	for name, l := range map[string]lock{"Mutex": newMutex(t, w.set), "RWMutex": rw} {
		ctx, failed := within(t), errors.New("failed")
		var told []bool
		with := func(err error) error {
			return l.With(ctx, func(abandoned bool) error {
				told = append(told, abandoned)
				if ok, _, err := l.TryLock(); ok || err != nil {
					t.Errorf("%s: TryLock within With = %v, %v", name, ok, err)
				}
				return err
			})
		}
		must(t, with(nil))
		mustBe(t, with(failed), failed) // an error alone is not a death
		func() {
			defer func() {
				if r := recover(); r != "panic" {
					t.Errorf("%s: recovered %v", name, r)
				}
			}()
			_ = l.With(ctx, func(bool) error { panic("panic") })
		}()
		mustBe(t, with(failed), failed) // told of the panic, but did not repair
		must(t, with(nil))
		must(t, with(nil))
		if want := []bool{false, false, true, true, false}; !slices.Equal(told, want) {
			t.Errorf("%s: told %v, want %v", name, told, want)
		}
		done, cancel := context.WithCancel(ctx)
		cancel()
		must(t, lockErr(l.Lock(ctx)))
		mustBe(t, l.With(done, func(bool) error { t.Errorf("%s: called without the lock", name); return nil }), context.Canceled)
		must(t, l.Unlock())
	}
	mustBe(t, rw.RWith(within(t), func() error { return context.DeadlineExceeded }), context.DeadlineExceeded)
	must(t, rw.RWith(within(t), func() error { return nil }))
	mustBe(t, rw.RUnlock(), semops.ErrNotHeld)
	if got, want := w.values(), slices.Concat(semops.MutexValues(), semops.RWMutexValues()); !slices.Equal(got, want) {
		t.Errorf("values %v, want %v", got, want)
	}
}

func lockErr(_ bool, err error) error { return err }
