// Package inventory lists the objects of an IPC namespace and finds out who uses them:
// which processes are attached to an object or wait on it, which ones created it and used
// it last, whether it looks abandoned, and which program it belongs to. POSIX objects are
// read from the caller's /dev/shm and /dev/mqueue; for each it finds the processes that
// have it mapped or open. A Place is what another process sees instead.
//
// The package has no output format and changes nothing, with one exception that must be
// requested (Options.Contents). The kernel adds another one: if a process ends while its
// memory maps are read, the reader may be the one that detaches its segments, and be
// recorded as their last user.
//
// # What is known and what is not
//
// The kernel reports reliably how many attachments a segment has and how many threads wait
// on a semaphore. Which ones they are comes from /proc, and only for processes that the
// caller may trace, that are in the same IPC namespace, and that are visible in the
// caller's PID namespace. Users that were not found are counted (Hidden,
// Use.HiddenAttachments, Use.HiddenWaiters). They are never guessed, and make a verdict
// unknown where they could matter.
//
// A POSIX object is a file, and any process can use it, in every IPC namespace. Its users
// are found by device and inode number. The kernel does not count them.
//
// Nothing here is a snapshot: objects and processes come and go meanwhile. Before acting
// on an inventory, check again.
//
// # Verdicts
//
// An object is in use while a process is attached to it, waits on it, maps it or has it
// open. It is idle if none does, but a process that created it or used it last is alive. It
// is an orphan if no living process can have a use for it. Otherwise the verdict is
// unknown, and the reasons say why.
//
// An object is an orphan only if all processes that it names have ended, or if no process
// of its owner and creator is left. Even then, each of these makes it unknown:
//
//   - it holds messages;
//   - a process runs as its owner or creator, can use that kind of object, and its program
//     is older than the object's last use (or of any age if the object has a key, by which
//     it can be found); a forked process is as old as the program that it continues;
//   - such a process runs as root: it may be the parent of workers of any user, and known
//     servers, such as Apache and PHP-FPM, may start one that finds the object by its key;
//   - a batch job is running that may have used it, and the job belongs to its owner or
//     creator, or to a user who is not seen: the next step of the job may use it again. Jobs
//     are found by their control groups (procfs.Job), while they have a process on this
//     machine;
//   - an object of its family is needed (see keepFamilies);
//   - the name of a POSIX object contains the id of a living process, or is one that the
//     program of a running server opens again after everyone has closed it;
//   - a process that may use it is hidden, or not visible from this PID namespace.
//
// A process cannot use a kind of object if none of its executable mappings imports the
// functions for it. A file that cannot be read counts as importing all of them. A POSIX
// object on which the kernel grants a write lease (fcntl(2)) is open nowhere, whatever is
// hidden; one on which it refuses the lease is open, even if no descriptor shows it.
//
// The /dev/shm of another mount namespace gives only a list of files, and is no evidence
// for anything else; see openShm for what is refused.
//
// Evidence for removal comes only from what an attacker cannot write. The name, directory,
// environment or mount namespace of a process may make a verdict more careful, never less.
//
// Four things are not seen: a dynamically linked program that makes the calls by number
// (syscall(2)), or finds them by dlsym(3) without a library that is known for that, such as
// libffi; a process of another user that has access only through the mode and neither waits
// nor is attached; a process that has changed all of its user ids; and a process of which
// only a thread is in this IPC namespace, unless the thread waits on a queue.
//
// A process id may have been reused. That is so if the process with that id was started
// after the time recorded with the id, provided that the clock was not set in between. If
// the clock was set, which can be detected only in part, a process of the object's owner is
// assumed to be the recorded one.
package inventory
