//go:build 386 || amd64 || arm || arm64

package spin

// Pause idles for n times what the processor takes for its spin-loop hint: some
// 10 to 60 ns each. It leaves the memory bus to the processor that is waited for.
//
//go:noescape
func Pause(n uint32)
