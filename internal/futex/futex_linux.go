package futex

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// Wait sleeps until Wake is called on addr, if the word there is val. If it is not, Wait
// returns nil at once. It may also return nil for no reason, so the caller checks its
// condition again. A timeout above 0 ends the sleep with ErrTimeout, and ctx ends it with
// ctx.Err().
//
// Other errors: EFAULT (addr is not mapped), EINVAL (addr is not aligned).
func Wait(ctx context.Context, addr *uint32, val uint32, timeout time.Duration) error {
	var end abi.Deadline
	if err := until(&end, timeout); err != nil {
		return err
	}
	return woken(interrupt.Do(ctx, func() abi.Errno { return abi.FutexWait(addr, val, &end) }))
}

// WaitAny is Wait for several words at a time, at most MostWords: it sleeps until Wake is
// called on one of them, if each has its value. It needs Linux 5.16. Other errors: ENOSYS
// (an older kernel), EPERM (a security policy refuses the call), ENOMEM.
func WaitAny(ctx context.Context, all []Waiter, timeout time.Duration) error {
	var end abi.Deadline
	if err := until(&end, timeout); err != nil {
		return err
	}
	return woken(interrupt.DoRestarted(ctx, &end, func() abi.Errno { return abi.FutexWaitv(all, &end) }))
}

// woken returns the error of a wait, given that of its system call.
func woken(err error) error {
	switch {
	case errors.Is(err, abi.EAGAIN):
		return nil
	case errors.Is(err, abi.ETIMEDOUT):
		return ErrTimeout
	default:
		return err
	}
}

// MostWords is how many words WaitAny takes at most.
const MostWords = abi.MostWaiters

// A Waiter is a word and the value with which to sleep on it.
type Waiter = abi.FutexWaiter

// until sets the time at which a wait ends, 2^31 seconds from now if there is no timeout.
// There always is such a time, because the kernel restarts a FUTEX_WAIT without a timeout
// after a signal whose handler has SA_RESTART, as Go's have, so it could not be cancelled.
// The time is absolute (hence FUTEX_WAIT_BITSET), so that the same call can be repeated
// after EINTR.
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

// Wake wakes up to n threads that sleep on addr, and returns their number. It never
// sleeps.
func Wake(addr *uint32, n int) int {
	woken, e := abi.FutexWake(addr, n)
	if e != 0 { // addr is not mapped or not aligned: nobody sleeps there
		return 0
	}
	return woken
}
