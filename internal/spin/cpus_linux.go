package spin

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Useful reports whether another processor can run while this process spins: GOMAXPROCS
// and the affinity mask of the calling thread allow more than one.
func Useful() bool {
	if runtime.GOMAXPROCS(0) < 2 {
		return false
	}
	var mask unix.CPUSet
	// It fails only if there are more processors than the mask has bits.
	return unix.SchedGetaffinity(0, &mask) != nil || mask.Count() > 1
}
