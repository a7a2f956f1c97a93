//go:build linux && !mips && !mipsle && (!arm || arm.7)

package shmsync

// supported reports whether a lock works here: 64-bit atomic operations that are
// instructions, so that they are atomic for other processes too, and futexes.
const supported = true
