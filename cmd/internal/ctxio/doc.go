// Package ctxio reads from and writes to files until a context ends.
//
// A read(2) from a pipe or a terminal may sleep forever, and Go's signal handlers make
// the kernel restart it. So a Reader waits with poll(2), which is never restarted, and
// then reads what is there. A Writer does the same. If its write sleeps after writing a
// part, a signal ends that write too.
package ctxio
