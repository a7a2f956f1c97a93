// Package sysv gives the System V IPC objects of Linux — shared memory segments,
// semaphore sets and message queues — as Go types. Names and meaning are the
// kernel's: whoever knows svipc(7), shmget(2), semop(2) and msgrcv(2) knows this
// package.
//
// # Objects
//
// A Segment, a Set or a Queue is an identifier, no more: it needs no closing, and
// copying it copies nothing. The object behind it belongs to the IPC namespace of
// the process, has an owner and permission bits, and lives until somebody removes
// it. Unrelated processes find it by its Key, which Ftok makes of a file.
//
//	seg, err := sysv.CreateSegment(key, 1<<20, nil)
//	mem, err := seg.Attach(nil)
//	defer mem.Detach()
//	hdr, err := sysv.View[header](mem, 0)
//	...
//	err = seg.Remove()
//
// # Waiting
//
// Every call that may have to wait tries without waiting first, which costs one
// system call and nothing else. It takes a context that ends it at any time, also before
// it has begun. If it must wait it sleeps in the kernel, and is made again when a signal interrupts it
// (signal(7): these calls are never restarted by the kernel).
//
// A goroutine that waits occupies a thread of the operating system. The Go
// runtime ends a program that has 10,000 of them; see debug.SetMaxThreads.
// Cancelling uses SIGURG, as the runtime does to preempt goroutines: a program
// that ignores that signal can not cancel.
//
// # Caveats
//
// Memory of a segment is not Go's. The garbage collector does not look into it, so
// it must hold no Go pointers, and nothing keeps it mapped but the Attachment. The
// methods of Attachment are safe; a slice from Bytes or a pointer from View must
// not be used after Detach.
//
// Other processes see what is written there in the order in which the hardware
// makes it visible. Use semaphores, or the types of sync/atomic through View, to
// order it. The race detector sees neither their accesses nor their
// synchronisation.
//
// Undo adjustments (Op.Undo) belong to the process, not to the goroutine or the
// thread: they are applied when the process ends, however it ends.
//
// Identifiers are used again. The kernel puts a sequence number into them, so that
// takes many creations; but an identifier that was stored for long may name
// another object today. Compare the CTime that Stat returns.
//
// On systems other than Linux everything compiles and every call returns an error
// that is errors.ErrUnsupported.
package sysv
