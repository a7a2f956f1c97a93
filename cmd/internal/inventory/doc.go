// Package inventory puts together what is in an IPC namespace and who uses it:
// the objects, the processes that are attached to them or wait on them, those
// that made and last used them, whether an object looks abandoned, and to which
// program it belongs. POSIX objects are those that the caller's /dev/shm and
// /dev/mqueue show; of them it tells who has them mapped or open.
//
// It knows no output format, and changes nothing, with one exception that has to
// be asked for (Options.Contents). The kernel makes one of its own: when a process ends
// while its memory maps are read, the reader may be the one that detaches its
// segments, and be noted as their last process.
//
// # What is known and what is not
//
// The kernel tells for certain how many attachments a segment has and how many
// threads wait on a semaphore. Who they are is read from /proc, and there only of
// processes that the caller may trace, that live in the same IPC namespace, and
// that are visible in the caller's pid namespace. What was not seen is counted
// (Hidden, Use.HiddenAttachments, Use.HiddenWaiters) and makes a verdict unknown
// where it could matter; it is never guessed.
//
// A POSIX object is a file, and a process uses it wherever it is: who does is found by
// device and inode number, in every IPC namespace. Nobody counts them.
//
// Nothing here is a snapshot: objects and processes come and go while they are
// looked at. Whoever acts on an inventory has to look again first.
//
// # Verdicts
//
// An object is in use while somebody is attached to it or waits on it. It is idle
// while nobody does, but a process that made it or used it last is alive: programs
// that attach only now and then are like that. It is an orphan if all those
// processes are known and have ended. In all other cases the verdict is unknown.
//
// A POSIX object is in use while somebody has it mapped or open, and an orphan if
// nobody does. Who made it is not known, so it is never idle. It is unknown as long as
// there are processes that the caller may not look into, or that its pid namespace
// does not show.
//
// The children of a PostgreSQL server make segments for the others and end before
// them (dynamic_shared_memory_type=sysv): while a server of the same user runs, a
// segment of such a child is unknown, not an orphan, unless a postmaster.pid tells
// that it is that of a server which has ended.
//
// For semaphore sets and message queues the kernel does not keep who made them.
// What follows from who used them last is less: a program that made a set in one
// process, which ended, and has not used it yet from another is not seen.
//
// A process id may have been given to another process since. That is so if the
// process was started after the time that belongs to the id, provided that the
// clock was not set in between; where it was, which can be told only in part, a
// process of the object's owner is given the benefit of the doubt.
package inventory
