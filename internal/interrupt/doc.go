// Package interrupt lets a context cancel a sleeping system call.
//
// Only a signal to the sleeping thread can end semop(2), msgsnd(2), msgrcv(2) or a futex
// wait from outside. Do pins the goroutine to its thread and, once the context is done,
// sends that thread SIGURG until the call has returned. The Go runtime preempts goroutines
// with SIGURG, so its handler is installed, does no harm, and expects the signal at any
// time. A signal that arrives before the thread is asleep has no effect, so Do repeats it
// at growing intervals.
//
// The kernel restarts mq_timedsend(2) and mq_timedreceive(2) after a signal whose handler
// has SA_RESTART, as all of Go's have. A restarted call reads its absolute deadline from
// memory again. So DoRestarted moves the deadline into the past before it sends the
// signal.
//
// A program that ignores SIGURG (signal.Ignore) cannot be interrupted this way.
package interrupt
