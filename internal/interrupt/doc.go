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
// mq_timedsend(2) and mq_timedreceive(2) are started over by the kernel after a signal
// whose handler has SA_RESTART, as all of Go's have. Started over they read their absolute
// deadline from memory again, so DoRestarted moves that into the past before it signals.
//
// A program that ignores SIGURG (signal.Ignore) can not be interrupted so.
package interrupt
