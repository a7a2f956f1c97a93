// Package semops provides synchronisation on System V semaphore sets: semaphores, locks
// that survive the death of their holder, barriers, conditions, events, and control of a
// bounded buffer. They work between processes and between the goroutines of each process.
// Each type documents its semaphores and their values, so that C programs can take part.
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
// One set can hold several primitives. Concatenate their initial values, and give each its
// first semaphore:
//
//	values := slices.Concat(semops.MutexValues(), semops.CondValues(), semops.EventValues())
//	...
//	cond, err := semops.NewCond(mu, 2)
//	event, err := semops.NewEvent(set, 7)
//
// A value such as *Mutex holds no resources and needs no closing. Make one in each
// process, share it among goroutines, and do not copy it. The semaphores live until a
// process removes the set; calls blocked on it then return EIDRM.
//
// # Waiting
//
// All primitives wait in the same way. They try once without waiting. Then they retry for
// about as long as it takes to fall asleep and be woken on another core, some forty
// microseconds. They retry less if that did not help the last times, and not at all if
// only one CPU may run the process. Then they sleep in the kernel, occupying a thread,
// until the context is done. If the context is done already, a call does nothing.
//
// # Cost
//
// The table gives the number of semaphores, and of system calls if nobody is in the way.
// Nothing is allocated in that case.
//
//	            semaphores  system calls
//	Semaphore   1           Acquire 1, Release 1, WaitZero 1
//	Mutex       2           Lock 1, Unlock 1; 1 more if Lock had to wait
//	RWMutex     3           Lock 1, RLock 1, Unlock 1, RUnlock 1; 2 more if Lock had to wait, 1 if RLock
//	Event       1           Set 1, Reset 1, Wait 1
//	Barrier     3           Wait 3
//	Cond        5           Wait 3 and a Lock, Signal 2 to 4, Broadcast 2 to 5
//	Buffer      6           Put 2, Take 2; 2 more each if another process was here before
//
// A wait adds a failed try, the bounded retries, and a thread while it sleeps. The Go
// runtime ends a program that has 10,000 threads; see debug.SetMaxThreads.
//
// # Death
//
// When a process ends, even by SIGKILL, the kernel reverses its operations with SEM_UNDO,
// and nothing else. Whenever that happens, each primitive is left in a valid state:
//
//	Semaphore   as the program chooses: see SemaphoreOptions
//	Mutex       the lock is free, and the next holder is told
//	RWMutex     a reader's lock is released; after a writer, as with a Mutex
//	Event       stays as it is
//	Barrier     a waiting party no longer counts
//	Cond        a waiter no longer counts; its signal goes to another waiter
//	Buffer      unfinished work has no effect
//
// # Caveats
//
// Undo belongs to the process. A lock is released when the last thread of the process is
// gone, not when a goroutine ends or panics, and it survives execve(2). A thread that
// leaves the IPC namespace or calls unshare(CLONE_SYSVSEM) loses the locks that were taken
// on it.
//
// SETVAL and SETALL clear all undo adjustments of the semaphores that they set. Setting
// the semaphores of a held lock takes it from its holder, whose Unlock then returns
// ErrNotHeld.
//
// Like the locks of package sync, these are not recursive and do not belong to a
// goroutine. A primitive trusts every process that may alter the set; mode 0600 keeps
// other users out.
//
// All goroutines of a process must use the same value for the same semaphores. Through it
// they see each other's writes in order, and the race detector knows about it. The race
// detector does not watch the memory of segments.
package semops
