//go:build !linux

package spin

import "runtime"

// Useful reports whether another processor can run while this process spins: GOMAXPROCS
// allows more than one.
func Useful() bool { return runtime.GOMAXPROCS(0) > 1 }
