//go:build !linux || mips || mipsle || (arm && !arm.7)

package shmsync

// supported reports whether a lock works here. On mips and on arm before version 7
// package atomic does 64-bit operations under a lock that only its own process has.
const supported = false
