// Package order tells the race detector of an order that it cannot see: that of the
// kernel, or of a lock word in shared memory.
package order
