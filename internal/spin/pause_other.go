//go:build !386 && !amd64 && !arm && !arm64

package spin

// Pause lets some ten nanoseconds pass for each n. The assembler of Go has no
// spin-loop hint for this architecture; staying off the shared word is what helps.
//
//go:noinline
func Pause(n uint32) {
	for i := n * 16; i > 0; i-- {
	}
}
