// Package futex sleeps and wakes on a 32-bit word of shared memory (futex(2)). Processes
// may map the word at different addresses: unlike the Go runtime, this package does not
// use FUTEX_PRIVATE_FLAG.
package futex
