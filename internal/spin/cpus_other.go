//go:build !linux

package spin

import "runtime"

// Useful tells whether what this process waits for can happen while it spins: more
// than one processor may run it, by GOMAXPROCS.
func Useful() bool { return runtime.GOMAXPROCS(0) > 1 }
