//go:build 386 || amd64 || arm || arm64

package spin

// Pause executes the processor's spin-loop hint n times, which takes some 10 to 60 ns
// each. The hint leaves the memory bus to the processor that is waited for.
//
//go:noescape
func Pause(n uint32)
