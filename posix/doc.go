// Package posix gives the POSIX IPC objects of Linux — shared-memory objects, named
// and unnamed semaphores, message queues — and mappings of memory as Go types. Names
// and meaning are those of shm_overview(7), sem_overview(7) and mq_overview(7).
// Package sysv is its twin for System V.
//
// # Objects and mappings
//
// An Object is open memory: a file in /dev/shm under a name, or one without
// (CreateMemfd). A Mapping makes it part of the process, and lasts when the Object is
// closed.
//
//	obj, err := posix.CreateObject("/sample", 1<<20, nil)
//	defer obj.Close()
//	mem, err := obj.Map(posix.MapOptions{})
//	defer mem.Unmap()
//	hdr, err := posix.View[header](mem, 0)
//	...
//	err = posix.UnlinkObject("/sample")
//
// What is created appears whole: with its size, and a semaphore with its value. Who
// opens it never finds it half made, and a process that is killed while it creates
// leaves nothing behind. (That takes O_TMPFILE, which tmpfs has, and /proc.)
//
// Objects, semaphores and queues have names of their own: "/x" can be all three. The
// slash in front may be left out.
//
// # Semaphores
//
// A Semaphore is the sem_t of the GNU C library, in the layout that all versions since
// 2.21 share, so Go and C programs use one together. As long as nobody has to wait no
// operation asks the kernel. A program of 64 bits can also use what one of 32 bits has
// made, which C can not; not the other way round.
//
// musl has another layout, and other file names: its semaphores are not found, and
// where their memory is met they are ErrNotSemaphore.
//
// # Waiting
//
// Every call that may have to wait tries without waiting first. If it must wait it
// takes a context that ends it at any time, or a timeout. A goroutine that waits
// occupies a thread of the operating system. The Go runtime ends a program that has
// 10,000 of them; see debug.SetMaxThreads. Cancelling uses SIGURG, as the runtime does
// to preempt goroutines: a program that ignores that signal can not cancel.
//
// # Caveats
//
// Memory of a mapping is not Go's. The garbage collector does not look into it, so it
// must hold no Go pointers, and nothing keeps it mapped but the Mapping. The methods
// of Mapping are safe, also when somebody makes the object shorter, or /dev/shm is
// full. A slice from Bytes or a pointer from View is not: using it after Unmap, or
// where there is no page, ends the program. The fast operations of a Semaphore are
// such pointers too, unless its mapping was unmapped.
//
// An object takes memory when it is written, not when it is made. A full /dev/shm
// therefore strikes at some later write, unless the memory is set aside: see
// ObjectOptions.Reserve, Object.Reserve and Mapping.Prefault.
//
// Other processes see what is written in the order in which the hardware makes it
// visible. Use semaphores, or the types of sync/atomic through View, to order it. The
// race detector sees neither their accesses nor their synchronisation.
//
// A semaphore does not know who holds it. A process that is killed between Acquire and Release
// leaves it taken for ever. One that is killed between adding and waking leaves
// others asleep; those of this package look again by themselves within ten seconds, those
// of C with the next Release.
//
// A file lives until it is unlinked, and /dev/shm until the machine is restarted.
//
// On systems other than Linux everything compiles and every call returns an error.
package posix
