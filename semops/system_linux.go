package semops

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// oneCPU tells whether nobody who could end a wait can run while this thread
// spins. It costs a system call.
func oneCPU() bool {
	if runtime.GOMAXPROCS(0) == 1 {
		return true
	}
	var mask unix.CPUSet // too small for some machines, which have more than one
	return unix.SchedGetaffinity(0, &mask) == nil && mask.Count() == 1
}

// removed turns the EINVAL of an identifier that was in use a moment ago into the
// EIDRM that a sleeper would have got.
func removed(err error) error {
	var e *sysv.Error
	if errors.As(err, &e) && e.Err == error(unix.EINVAL) {
		return &sysv.Error{Op: e.Op, Kind: e.Kind, ID: e.ID, Err: unix.EIDRM}
	}
	return err
}

// tooLarge tells whether a semaphore would have exceeded maxValue.
func tooLarge(err error) bool { return errors.Is(err, unix.ERANGE) }
