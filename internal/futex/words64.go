//go:build linux && !mips && !mipsle && (!arm || arm.7)

package futex

// Words64 reports whether processes can share 64-bit words and sleep on them: this needs
// futexes, and 64-bit atomic operations that are single instructions and so atomic between
// processes.
const Words64 = true
