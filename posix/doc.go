// Package posix provides the POSIX IPC objects of Linux as Go types: shared-memory
// objects, named and unnamed semaphores, message queues, and mappings of memory. Names and
// behaviour are those of shm_overview(7), sem_overview(7) and mq_overview(7). Package sysv
// does the same for System V.
//
// # Objects and mappings
//
// An Object is an open memory file: one with a name in /dev/shm, or one without a name
// (CreateMemfd). A Mapping makes its memory part of the process, and stays when the Object
// is closed.
//
//	obj, err := posix.CreateObject("/sample", 1<<20, nil)
//	defer obj.Close()
//	mem, err := obj.Map(nil)
//	defer mem.Unmap()
//	hdr, err := posix.View[header](mem, 0)
//	...
//	err = posix.UnlinkObject("/sample")
//
// PassTo hands an object without a name to a child process, and SendTo to any process, through
// a Unix-domain socket. The child calls Inherit; any other receiver calls ReceiveObject.
//
// Create makes a new object, Open opens an existing one, and OpenOrCreate does either and
// reports which. Options may be nil; the mode is then 0600.
//
// An object or semaphore appears complete: an object with its size, a semaphore with its
// value. No process opens it half made, and a process killed while creating one leaves
// nothing behind. (This needs /proc, and O_TMPFILE, which tmpfs has.)
//
// Objects, semaphores and queues have separate name spaces: "/x" can be one of each. The
// leading slash is optional.
//
// # Semaphores
//
// A Semaphore is the sem_t of the GNU C library, in the layout of all versions since 2.21,
// so Go and C programs can share one. An operation makes no system call unless a process
// waits. A 64-bit program can also use the semaphores of 32-bit programs, which C cannot;
// the reverse does not work.
//
// musl uses another layout and other file names. Named semaphores of musl programs are not
// found; for one in memory, the error is ErrNotSemaphore.
//
// # Waiting
//
// A call that may block takes a context, which ends it at any time. If the context is done
// already, the call does nothing. Otherwise it first tries without blocking. A blocked
// goroutine occupies an operating-system thread. The Go runtime ends a program that has
// 10,000 threads; see debug.SetMaxThreads. Cancelling uses SIGURG, as the runtime does to
// preempt goroutines, so a program that ignores this signal cannot cancel. SendTo and
// ReceiveObject wait for a socket without a thread, until its deadline.
//
// # Caveats
//
// The memory of a mapping does not belong to Go. The garbage collector does not scan it,
// so it must hold no Go pointers, and only the Mapping keeps it mapped. The methods of
// Mapping are safe even if the object is truncated or /dev/shm is full. A slice from Bytes
// or a pointer from View is not: using it after Unmap, or where there is no page, ends the
// program. The fast operations of a Semaphore use such pointers too, but are safe after
// Unmap.
//
// An object takes memory when it is written, not when it is created. If /dev/shm is full,
// a later write therefore faults, unless the memory was reserved: see
// ObjectOptions.Reserve, Object.Reserve and Mapping.Prefault.
//
// Other processes see writes in the order in which the hardware makes them visible. To
// order them, use semaphores, or the types of sync/atomic through View. The race detector
// does not see accesses or synchronisation of other processes.
//
// A semaphore does not record who holds it. If a process is killed between Acquire and
// Release, it stays taken forever. If a process is killed between adding and waking,
// waiters stay asleep. Waiters of this package check again within ten seconds, C waiters
// at the next Release.
//
// A file in /dev/shm lives until it is unlinked or the machine restarts.
//
// On systems other than Linux, everything compiles, and every call returns an error.
package posix
