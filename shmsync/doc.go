// Package shmsync provides locks and conditions in shared memory, for the processes that
// map it. Locking and unlocking a Mutex take one compare-and-swap each, and a system call
// only if somebody waits. If the holder ends, however it ends, the kernel shows this to
// the others, and the next holder is told that what the lock protects may be half changed.
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
// Mutex protects. The memory is a posix.Mapping or a sysv.Attachment. Package semops has
// locks whose words are in the kernel: they need no memory and are slower.
//
// # Who waits
//
// A wait spins for some microseconds if this process may use several processors, and for
// less if spinning did not help before. Then it sleeps in the kernel, occupying one
// thread. A process that unlocks and locks again goes ahead of sleeping waiters, because
// that is many times as fast as a switch of processes. After about a millisecond, or
// 65,536 times, Unlock reserves the lock for a waiter that has slept. TryLock ignores the
// reservation.
//
// # Death
//
// Each Mutex value has an open file description of its own, with a lock of the kernel
// (fcntl(2), F_OFD_SETLK) on one byte. The kernel drops it when the process has ended, or
// calls execve(2), and shows it across pid namespaces, user namespaces and containers.
// A waiter that has slept for 100 ms checks whether the holder's byte is still locked. A
// stopped process keeps its lock and does not count as dead. A child that C code forked
// keeps it, too, while it runs without execve(2). If code outside this package closes the
// descriptor, that counts as a death.
//
// The file is the one that the memory is mapped from. For memory without a file, such as a
// System V segment, it is the file of the IPC namespace. Then all processes must be in the
// same namespace; a process in another one gets ErrForeign.
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
//	    48      8  when a waiter that had slept last got the lock: CLOCK_MONOTONIC, nanoseconds
//	    56      4  the futex on which waiters sleep, counted up before each wake-up
//	    60      4  the futex of waiters that were woken in vain
//
// Memory of zeros is a lock that nobody has used. A process that opens it fills in the
// words that are still 0, each by compare-and-swap. So several processes may do this at
// once, and may be killed at any point.
//
// A Mutex value draws a ticket by adding 1 to the last one. It takes a shared lock on byte
// 2^62 + ticket of the file before it writes the ticket anywhere else. The lock word is
// the ticket of the holder times 32, or 0 if there is no holder, plus
//
//	 1  a sleeper has not been woken yet
//	 2  a woken waiter has not decided yet: nobody else need be woken
//	 4  Unlock must reserve the lock for a waiter that has slept
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
// A reader first counts itself and then checks the lock word. If there is a holder, or a
// death that nobody has repaired, it uncounts itself, takes the lock, counts itself, and
// unlocks. A writer first takes the lock and then waits until all counts are 0. To free
// the slot of a dead process, put your own ticket in place of its ticket, set the count to
// 0, and then set the ticket to 0.
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
