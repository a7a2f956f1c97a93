package futex

import (
	"context"
	"errors"
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// The operations and the mask that every wake-up matches, of linux/futex.h.
const (
	opWake       = 1
	opWaitBitset = 9
	matchAny     = math.MaxUint32
)

// Wait sleeps until Wake is called on addr, as long as the word there is val. It
// returns nil at once if the word is something else, and may return nil for no
// reason: the caller looks at its condition again. A timeout above 0 ends the
// sleep with ErrTimeout, and ctx ends it with ctx.Err().
//
// Other errors: EFAULT (addr is not mapped), EINVAL (addr is not aligned).
func Wait(ctx context.Context, addr *uint32, val uint32, timeout time.Duration) error {
	end, err := deadline(timeout)
	if err != nil {
		return err
	}
	err = interrupt.Do(ctx, func() abi.Errno {
		_, _, e := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWaitBitset, uintptr(val),
			uintptr(unsafe.Pointer(&end)), 0, matchAny)
		return e
	})
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case errors.Is(err, unix.ETIMEDOUT):
		return ErrTimeout
	default:
		return err
	}
}

// deadline returns the time of CLOCK_MONOTONIC at which a wait ends. There always
// is one, if only in 2^31 seconds, since the kernel restarts a FUTEX_WAIT without
// a timeout by itself after a signal whose handler has SA_RESTART, as those of Go
// have, and then it could not be cancelled. That it is absolute (which is why the
// operation is FUTEX_WAIT_BITSET) lets the same call be made again after EINTR.
func deadline(timeout time.Duration) (unix.Timespec, error) {
	if timeout <= 0 {
		return unix.Timespec{Sec: math.MaxInt32}, nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return now, err
	}
	const longest = math.MaxInt32 * time.Second
	return unix.NsecToTimespec(min(now.Nano()+int64(min(timeout, longest)), int64(longest))), nil
}

// Wake wakes up to n of those that sleep on addr and returns how many. It never
// sleeps itself.
func Wake(addr *uint32, n int) int {
	woken, _, e := unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWake, uintptr(min(n, math.MaxInt32)))
	if e != 0 { // an address that is not mapped or not aligned: nobody sleeps there
		return 0
	}
	return int(woken)
}
