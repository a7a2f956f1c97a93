// Package futex sleeps and wakes on a 32-bit word of shared memory (futex(2)).
// The word may be mapped at different addresses by different processes: the
// operations are those without FUTEX_PRIVATE_FLAG, unlike the Go runtime's own.
package futex
