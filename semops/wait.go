package semops

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/sysvipc/gipc/sysv"
)

// maxValue is the kernel's SEMVMX, the highest value of a semaphore.
const maxValue = math.MaxInt16

// These operations make up the primitives.
func add(num uint16, n int16) sysv.Op     { return sysv.Op{Num: num, Add: n} }
func addUndo(num uint16, n int16) sysv.Op { return sysv.Op{Num: num, Add: n, Undo: true} }
func isZero(num uint16) sysv.Op           { return sysv.Op{Num: num} }

// isBit returns operations that succeed only if semaphore num, which is 0 or 1, equals
// bit. They change nothing.
func isBit(num uint16, bit int) (op1, op2 sysv.Op) {
	return add(num, int16(-bit)), add(num, int16(bit))
}

// isValue returns operations that succeed only if semaphore num equals value. They change
// nothing.
func isValue(num uint16, value int) (op1, op2, op3 sysv.Op) {
	return add(num, int16(-value)), isZero(num), add(num, int16(value))
}

// flip returns the operation that changes semaphore num from bit to 1-bit.
func flip(num uint16, bit int) sysv.Op { return add(num, int16(1-2*bit)) }

const (
	// maxSpins tries take about as long as falling asleep and being woken on another core.
	// So spinning costs at most as much again as sleeping.
	maxSpins = 100
	// minSpins tries are made even if spinning never helps, to notice when it begins to
	// help.
	minSpins = 8
	// Every probeEvery-th wait tries maxSpins times whatever happened before, because
	// minSpins may be too few to notice.
	probeEvery = 32
	// Every yieldEvery tries, another goroutine may run. It may be the one waited for.
	yieldEvery = 16
	// On one CPU, a failed try predicts that the next skipTries will fail too.
	skipTries = 32
	// After recheckCalls calls, the number of CPUs is checked again.
	recheckCalls = 1024
)

// A waiter performs operations in the way that all primitives wait: one try, then more
// tries for a bounded time, then asleep in the kernel. On one CPU, trying cannot help, so
// it skips the tries as long as calls have to wait. How long it tries depends on whether
// that helped before, which each primitive learns for itself. The zero value is ready for
// use by several goroutines.
type waiter struct {
	penalty atomic.Int32  // maxSpins minus the number of tries
	waits   atomic.Uint32 // waits so far, on more than one CPU
	calls   atomic.Uint32 // waits so far, on one CPU
	skips   atomic.Int32  // first tries to skip, on one CPU
	oneCPU  atomic.Bool   // nobody else can run while this process tries
}

// do performs ops as Set.Do does.
func (w *waiter) do(ctx context.Context, set sysv.Set, ops ...sysv.Op) error {
	if ctx.Err() != nil {
		return set.Do(ctx, ops...)
	}
	if w.triesFirst() {
		ok, err := set.TryDo(ops...)
		if ok || err != nil {
			return err
		}
	}
	return w.wait(ctx, set, ops...)
}

// done returns an error if ctx is done. It is called before the first try.
func done(ctx context.Context, set sysv.Set) error {
	if ctx.Err() == nil {
		return nil
	}
	return set.Do(ctx)
}

// triesFirst reports whether to try once before wait.
func (w *waiter) triesFirst() bool { return w.skips.Load() <= 0 || !w.oneCPU.Load() }

// wait is do without the first try.
func (w *waiter) wait(ctx context.Context, set sysv.Set, ops ...sysv.Op) error {
	if ctx.Err() != nil {
		return set.Do(ctx, ops...)
	}
	if w.oneCPU.Load() {
		return w.waitAlone(ctx, set, ops)
	}
	ok, err := w.spin(set, ops)
	if ok || err != nil {
		return removed(err)
	}
	return removed(set.Wait(ctx, ops...))
}

// waitAlone is wait on one CPU, where a process that could end the wait runs only while
// this thread sleeps.
func (w *waiter) waitAlone(ctx context.Context, set sysv.Set, ops []sysv.Op) error {
	if w.skips.Add(-1) < 0 {
		w.skips.Store(skipTries)
	}
	if w.calls.Add(1)%recheckCalls == 0 && !oneCPU() {
		w.oneCPU.Store(false)
	}
	return set.Wait(ctx, ops...)
}

// spin retries ops while there is a prospect of success.
func (w *waiter) spin(set sysv.Set, ops []sysv.Op) (bool, error) {
	for i := range w.limit() {
		ok, err := set.TryDo(ops...)
		if ok {
			w.penalty.Store(w.penalty.Load() * 3 / 4)
		}
		if ok || err != nil {
			return ok, err
		}
		if i%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
		}
	}
	penalty := w.penalty.Load()
	w.penalty.Store(min(penalty+(maxSpins-penalty+3)/4, maxSpins-minSpins))
	return false, nil
}

// limit returns the number of tries to make now.
func (w *waiter) limit() int32 {
	waits := w.waits.Add(1) - 1
	if waits%probeEvery != 0 {
		return maxSpins - w.penalty.Load()
	}
	if oneCPU() {
		w.oneCPU.Store(true)
		return 0
	}
	return maxSpins
}

// semaphores checks that the set has n semaphores starting with first, and returns first
// as a semaphore number.
func semaphores(set sysv.Set, what string, first, n int) (uint16, error) {
	last := first + n - 1
	if first < 0 || last > math.MaxUint16 {
		return 0, fmt.Errorf("%s: there are no semaphores %d to %d", what, first, last)
	}
	if _, err := set.Value(last); err != nil {
		if info, e := set.Stat(); e == nil && last >= info.NSems {
			return 0, fmt.Errorf("%s: sem:%d has %d semaphores, and no number %d: %w", what, int(set), info.NSems, last, err)
		}
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return uint16(first), nil
}

// initialized returns sysv.ErrUninitialized if semaphore num, whose initial value is not
// zero, is zero and no operation was ever performed on the set.
func initialized(set sysv.Set, what string, num uint16) error {
	value, err := set.Value(int(num))
	if err != nil || value != 0 {
		return err
	}
	info, err := set.Stat()
	if err == nil && info.OTime.IsZero() {
		err = uninitialized(set, what)
	}
	return err
}

// mismatch returns the error for a parameter that differs from the one the semaphores were
// made with.
func mismatch(set sysv.Set, what string, made int, parameter string, n int) error {
	return fmt.Errorf("%s in sem:%d: %w: made for %d %s, not %d", what, int(set), sysv.ErrMismatch, made, parameter, n)
}

// readBit returns the value of a semaphore, which must be 0 or 1.
func readBit(set sysv.Set, what string, num uint16) (int, error) {
	value, err := set.Value(int(num))
	if err == nil && value > 1 {
		err = fmt.Errorf("%s in sem:%d: semaphore %d is %d, and should be 0 or 1", what, int(set), num, value)
	}
	return value, err
}

func uninitialized(set sysv.Set, what string) error {
	return fmt.Errorf("%s in sem:%d: %w", what, int(set), sysv.ErrUninitialized)
}
