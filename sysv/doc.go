// Package sysv provides the System V IPC objects of Linux as Go types: shared memory
// segments, semaphore sets and message queues. Names and behaviour are those of the
// kernel, as described in svipc(7), shmget(2), semop(2) and msgrcv(2).
//
// # Objects
//
// A Segment, a Set or a Queue is only an identifier: it needs no closing, and copying it
// copies nothing. The object itself belongs to the IPC namespace of the process, has an
// owner and permission bits, and lives until a process removes it. Unrelated processes
// find it by its Key, which Ftok can derive from a file.
//
//	seg, err := sysv.CreateSegment(key, 1<<20, nil)
//	mem, err := seg.Attach(nil)
//	defer mem.Detach()
//	hdr, err := sysv.View[header](mem, 0)
//	...
//	err = seg.Remove()
//
// Create makes a new object, Open finds an existing one, and OpenOrCreate does either and
// reports which. Options may be nil; the mode is then 0600.
//
// # Waiting
//
// A call that may block takes a context, which ends it at any time. If the context is done
// already, the call does nothing. Otherwise it first tries without blocking, which takes
// one system call. If it must block, it sleeps in the kernel, and continues when a signal
// interrupts it: the kernel never restarts these calls, see signal(7).
//
// A blocked goroutine occupies an operating-system thread. The Go runtime ends a program
// that has 10,000 threads; see debug.SetMaxThreads. Cancelling uses SIGURG, as the runtime
// does to preempt goroutines, so a program that ignores this signal cannot cancel.
//
// # Caveats
//
// The memory of a segment does not belong to Go. The garbage collector does not scan it,
// so it must hold no Go pointers, and only the Attachment keeps it mapped. The methods of
// Attachment are safe. A slice from Bytes or a pointer from View must not be used after
// Detach.
//
// Other processes see writes in the order in which the hardware makes them visible. To
// order them, use semaphores, or the types of sync/atomic through View. The race detector
// does not see accesses or synchronisation of other processes.
//
// Undo adjustments (Op.Undo) belong to the process, not to a goroutine or thread. The
// kernel applies them when the process ends, however it ends.
//
// Identifiers are reused. The kernel includes a sequence number, so this takes many
// creations; but an identifier stored long ago may name another object today. Compare the
// CTime that Stat returns.
//
// On systems other than Linux, everything compiles, and every call returns an error that
// is errors.ErrUnsupported.
package sysv
