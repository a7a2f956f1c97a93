// Package order tells the race detector of an order that it cannot see, because the kernel
// or a lock word in shared memory makes it.
package order
