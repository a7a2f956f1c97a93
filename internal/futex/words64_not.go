//go:build !linux || mips || mipsle || (arm && !arm.7)

package futex

// Words64 reports whether processes can share 64-bit words and sleep on them. On mips, and
// on arm before version 7, package atomic implements 64-bit operations with a lock, which
// only works within a process.
const Words64 = false
