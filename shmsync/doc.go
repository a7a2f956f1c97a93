// Package shmsync has locks and conditions in shared memory, for processes that map it:
// locking and unlocking a Mutex is one compare-and-swap each, and a system call only where
// somebody waits. If its holder ends, however it ends, the kernel tells the others, and
// the next holder is told that what the lock protects may be half changed.
//
//	mu, err := shmsync.NewMutex(mem, 0) // MutexSize bytes, zero or a lock already
//	if err != nil {
//		return err
//	}
//	defer mu.Close()
//	err = mu.With(ctx, func(abandoned bool) error {
//		if abandoned {
//			repair()
//		}
//		return work()
//	})
//
// An RWMutex lets several readers in at a time, and a Cond waits for a change of what a
// Mutex protects. The memory is a posix.Mapping or a sysv.Attachment. Package semops has locks whose words
// are in the kernel: they need no memory and are slower.
//
// # Who waits
//
// A wait spins for some microseconds if this process may use several processors, and less
// where that was in vain before. Then it sleeps in the kernel, and occupies one thread. A
// process that unlocks and locks again comes before those who sleep, since that is many
// times as fast as a change of processes; but not for more than about a millisecond, or
// 65,536 times: then Unlock leaves the lock to one who has slept. TryLock does not respect
// that.
//
// # Death
//
// Each Mutex value has an open file description of its own, with a lock of the kernel
// (fcntl(2), F_OFD_SETLK) on one byte. The kernel drops it when the process has ended, or
// calls execve(2), and shows it across pid namespaces, user namespaces and containers.
// A waiter that has slept for 100 ms looks whether the holder still has its byte. A process that is
// stopped has, and is not dead; so has a child that was forked by C code and goes on
// without execve(2). A descriptor that is closed behind the back of the package counts as
// a death.
//
// The file is the one that the memory is mapped from. For memory without one, such as a
// System V segment, it is that of the IPC namespace; then all processes must be in the
// same one, and others get ErrForeign.
//
// # Layout, version 1
//
// All numbers are in the byte order of the machine. All words are accessed atomically.
//
//	offset  bytes
//	     0      8  magic: "gipcmutx" read as a little-endian number, written last
//	     8      4  version: 1
//	    12      4  features that a process must know: 0; 1 for an RWMutex
//	    16      8  a random number, not 0
//	    24      8  where the kernel's locks are: 1, the file of the memory; or 2, the
//	               IPC namespace, plus its inode times 2^32
//	    32      8  the lock word
//	    40      8  the last ticket; the first is random, from 2^32 up to 2^58
//	    48      8  when one who slept last got the lock: CLOCK_MONOTONIC, nanoseconds
//	    56      4  the futex on which waiters sleep, counted up before each wake-up
//	    60      4  that of those who were woken in vain
//
// Zeros are a lock that nobody has used. Whoever opens it fills in what is still 0, each
// word by compare-and-swap; so all may do it at a time, and be killed at any point.
//
// A Mutex value draws a ticket, which adds 1 to the last one, and locks byte 2^62 + ticket
// of the file, shared, before it shows the ticket to anybody. The lock word is the ticket
// of the holder times 32, or of nobody, 0; plus
//
//	 1  somebody sleeps who was not woken since
//	 2  somebody was woken who has not decided yet: nobody else need be woken
//	 4  who unlocks has to leave the lock to one who has slept
//	 8  nobody has the lock, and a waiter that has slept may take it
//	16  a holder died, and nobody has called MarkConsistent since
//
// The ticket 2^59-1 holds a lock that is not recoverable.
//
// An RWMutex begins with a lock, which writers hold. After it come
//
//	 64      8  1 while a writer may change what the lock protects, else 0
//	 72      4  the futex of a writer that waits for readers, counted up before each
//	            wake-up
//	 76      4  1 while a writer waits there, else 0
//	128  62*64  for each of up to 62 values: its ticket or 0 (8 bytes), its number of
//	            read locks (8 bytes), and 48 bytes that are 0
//
// A reader counts itself first and checks the lock word then; if there is a holder, or a
// death that nobody repaired, it uncounts itself, takes the lock, counts itself, and
// unlocks. A writer takes the lock first and then waits until all counts are 0. To free
// what a dead process has, put your own ticket in place of its ticket, set the count to 0,
// and then the ticket.
//
// A Cond has
//
//	 0      8  magic: "gipccond"
//	 8      4  version: 1
//	12      4  features that a process must know: 0
//	16      8  the random number of its lock
//	24      8  0 if nobody waits; a process about to wait stores twice the futex plus 1
//	32      4  the futex, counted up before each wake-up
//	36     28  0
//
// A waiter that is not woken looks at the futex every 0.1 s.
package shmsync
