//go:build linux && !mips && !mipsle && (!arm || arm.7)

package futex

// Words64 reports whether processes can share 64-bit words and sleep on them: it needs
// futexes, and 64-bit atomic operations that are single instructions, so that they are
// atomic between processes.
const Words64 = true
