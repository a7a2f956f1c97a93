//go:build !386 && !amd64 && !arm && !arm64

package spin

// Pause takes some ten nanoseconds for each n. Go's assembler has no spin-loop hint for
// this architecture, but a pause in which the shared word is not touched already helps.
//
//go:noinline
func Pause(n uint32) {
	for i := n * 16; i > 0; i-- {
	}
}
