package spin

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Useful tells whether what this process waits for can happen while it spins: more
// than one processor may run it, by GOMAXPROCS and by the affinity mask of the
// calling thread.
func Useful() bool {
	if runtime.GOMAXPROCS(0) < 2 {
		return false
	}
	var mask unix.CPUSet
	// It fails only where there are more processors than the mask has bits.
	return unix.SchedGetaffinity(0, &mask) != nil || mask.Count() > 1
}
