// Package semops waits and locks with System V semaphore sets: semaphores, locks
// that survive the death of their holder, barriers, conditions, events, and the
// books of a bounded buffer. They work between processes, and between the
// goroutines of each, and each says which semaphores it takes and what they hold,
// so that a program in C can join.
//
//	set, made, err := sysv.OpenOrCreateSet(ctx, key, semops.MutexValues(), nil)
//	mu, err := semops.NewMutex(set, 0, 1)
//	err = mu.With(ctx, func(abandoned bool) error {
//		if abandoned {
//			repair() // the last holder was killed
//		}
//		...
//	})
//
// One set can hold several primitives: concatenate their initial values, and
// give each its first semaphore.
//
//	values := slices.Concat(semops.MutexValues(), semops.CondValues(), semops.EventValues())
//	...
//	cond, err := semops.NewCond(mu, 2)
//	event, err := semops.NewEvent(set, 7)
//
// A value such as *Mutex holds no resources and needs no closing; make one in each
// process, share it among goroutines, and do not copy it. The semaphores live until
// somebody removes the set, which wakes all who wait with EIDRM.
//
// # Waiting
//
// All primitives wait in the same way: one try without waiting; then more tries, for
// about as long as being put to sleep and woken on another core takes (some forty
// microseconds), fewer if they did not help the last times, and none where a
// single CPU may run; then asleep in the kernel, occupying a thread, until the
// context is done. A context that is done already ends a call before it has done anything.
//
// # Cost
//
// System calls are those of the case that nobody is in the way. Nothing is
// allocated then.
//
//	            semaphores  system calls
//	Semaphore   1           Acquire 1, Release 1, WaitZero 1
//	Mutex       2           Lock 1, Unlock 1; 1 more if Lock had to wait
//	RWMutex     3           Lock 1, RLock 1, Unlock 1, RUnlock 1; 2 more if Lock had to wait, 1 if RLock
//	Event       1           Set 1, Reset 1, Wait 1
//	Barrier     4           Wait 3
//	Cond        5           Wait 3 and a Lock, Signal 2 to 4, Broadcast 2 to 5
//	Buffer      7           Put 2, Take 2; 2 more each if another process was here before
//
// A wait adds a failed try, the bounded spinning, and a thread while it sleeps. The
// Go runtime ends a program that has 10,000 threads; see debug.SetMaxThreads.
//
// # Death
//
// The kernel takes back what a process did with SEM_UNDO when it ends, also by
// SIGKILL, and that alone. Each primitive is made so that this leaves a state
// which makes sense, between any two system calls:
//
//	Semaphore   as the program says: see SemaphoreOptions
//	Mutex       the lock is free, and the next holder is told
//	RWMutex     a reader's lock is gone; after a writer as with a Mutex
//	Event       stays as it is
//	Barrier     who was waiting does not count any more
//	Cond        who was waiting does not count any more; its signal goes to another
//	Buffer      what was not finished has not happened
//
// # Caveats
//
// Undo belongs to the process. A lock comes back when the last thread of the
// process is gone, not when a goroutine ends or panics; and it stays with the
// process across execve(2). A thread that leaves the IPC namespace or calls
// unshare(CLONE_SYSVSEM) loses the locks that were taken on it.
//
// SETVAL and SETALL clear all undo adjustments of the semaphores they set. Who gives
// the semaphores of a lock new values while it is held takes it from its holder,
// whose Unlock then returns ErrNotHeld.
//
// Locks are not recursive, and don't belong to a goroutine, as those of package sync.
// A primitive trusts all who may alter the set: mode 0600 keeps others out.
//
// The goroutines of a process must use the same value for the same semaphores.
// Through it they see each other's writes in order, and the race detector knows. It
// does not watch the memory of segments.
package semops
