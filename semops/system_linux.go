package semops

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// oneCPU reports whether no other thread can run while this one spins. It costs a system
// call.
func oneCPU() bool {
	if runtime.GOMAXPROCS(0) == 1 {
		return true
	}
	var mask unix.CPUSet // too small for some machines, all of which have more than one CPU
	return unix.SchedGetaffinity(0, &mask) == nil && mask.Count() == 1
}

// removed converts the EINVAL of an identifier that was valid a moment ago to EIDRM, which
// a sleeping caller would have got.
func removed(err error) error {
	var e *sysv.Error
	if errors.As(err, &e) && e.Err == error(unix.EINVAL) {
		return &sysv.Error{Op: e.Op, Kind: e.Kind, ID: e.ID, Err: unix.EIDRM}
	}
	return err
}

// tooLarge reports whether a semaphore would have exceeded maxValue.
func tooLarge(err error) bool { return errors.Is(err, unix.ERANGE) }
