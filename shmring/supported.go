//go:build linux && !mips && !mipsle && (!arm || arm.7)

package shmring

// supported reports whether the ring works here. It needs futexes, and 64-bit atomic
// operations that are single instructions, so that they are atomic between processes.
const supported = true
