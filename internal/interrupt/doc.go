// Package interrupt lets a context cancel a system call that sleeps.
//
// The kernel offers one way to end semop(2), msgsnd(2), msgrcv(2) or a futex
// wait from outside: a signal to the sleeping thread. Do pins the goroutine to
// its thread and, once the context is done, sends that thread SIGURG until the
// call has returned. SIGURG is the signal with which the Go runtime preempts
// goroutines, so its handler is in place, does no harm, and is expected to come
// at any time. A signal that arrives before the thread is asleep is lost; that
// is why it is repeated, at growing intervals.
//
// A program that ignores SIGURG (signal.Ignore) can not be interrupted so.
package interrupt
