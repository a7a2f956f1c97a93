// Package ctxio reads from and writes to files such that a context ends it.
//
// A read(2) from a pipe or a terminal may sleep for ever, and signal handlers of Go
// let the kernel start it again. So a Reader waits by poll(2), which is not started
// again, and reads what is there then. A Writer does the same; a write that sleeps
// though there was some room has written something, and then a signal ends it too.
package ctxio
