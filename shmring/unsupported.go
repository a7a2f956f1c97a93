//go:build !linux || mips || mipsle || (arm && !arm.7)

package shmring

// supported reports whether the ring works here. On mips, and on arm before version 7,
// package atomic implements 64-bit operations with a lock, which only works within a
// process.
const supported = false
