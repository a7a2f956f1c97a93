package futex

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// Wait sleeps until Wake is called on addr, as long as the word there is val. It
// returns nil at once if the word is something else, and may return nil for no
// reason: the caller looks at its condition again. A timeout above 0 ends the
// sleep with ErrTimeout, and ctx ends it with ctx.Err().
//
// Other errors: EFAULT (addr is not mapped), EINVAL (addr is not aligned).
func Wait(ctx context.Context, addr *uint32, val uint32, timeout time.Duration) error {
	var end abi.Deadline
	if err := until(&end, timeout); err != nil {
		return err
	}
	err := interrupt.Do(ctx, func() abi.Errno { return abi.FutexWait(addr, val, &end) })
	switch {
	case errors.Is(err, abi.EAGAIN):
		return nil
	case errors.Is(err, abi.ETIMEDOUT):
		return ErrTimeout
	default:
		return err
	}
}

// until sets the time at which a wait ends. There always is one, if only in 2^31 seconds,
// since the kernel restarts a FUTEX_WAIT without a timeout by itself after a signal whose
// handler has SA_RESTART, as those of Go have, and then it could not be cancelled. That it
// is absolute (which is why the operation is FUTEX_WAIT_BITSET) lets the same call be made
// again after EINTR.
func until(end *abi.Deadline, timeout time.Duration) error {
	if timeout <= 0 {
		end.Set(math.MaxInt32, 0)
		return nil
	}
	sec, nsec, e := abi.Monotonic()
	if e != 0 {
		return e
	}
	nsec += int64(timeout % time.Second)
	sec += int64(timeout/time.Second) + nsec/int64(time.Second)
	end.Set(min(sec, math.MaxInt32), nsec%int64(time.Second))
	return nil
}

// Wake wakes up to n of those that sleep on addr and returns how many. It never
// sleeps itself.
func Wake(addr *uint32, n int) int {
	woken, e := abi.FutexWake(addr, n)
	if e != 0 { // an address that is not mapped or not aligned: nobody sleeps there
		return 0
	}
	return woken
}
