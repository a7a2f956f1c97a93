// Package inventory puts together what is in an IPC namespace and who uses it:
// the objects, the processes that are attached to them or wait on them, those
// that made and last used them, whether an object looks abandoned, and to which
// program it belongs. POSIX objects are those that the caller's /dev/shm and
// /dev/mqueue show; of them it tells who has them mapped or open. A Place is what another
// process sees in their stead.
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
// An object is in use while somebody is attached to it, waits on it, maps it or has it
// open. It is idle while nobody does, but a process that made it or used it last is
// alive. It is an orphan if no living process can have a use for it. In all other cases
// the verdict is unknown, and the reasons name what stands in the way.
//
// For an orphan all processes that the object names must have ended, or no process of
// its owner and creator may be left. Any of these makes it unknown all the same:
//
//   - it holds messages;
//   - a process runs as its owner or creator, its program is older than the last use (or the
//     object has a key, by which younger ones may have found it), and it can use that kind;
//     a process that was only forked is as old as the program that it goes on in;
//   - such a process runs as root: it may be the parent of workers of any user, and known
//     servers, such as Apache and PHP-FPM, may become that of one who finds it by its key;
//   - an object that belongs together with it is needed (see keepFamilies);
//   - the name of a POSIX object holds the number of a living process, or is one that the
//     program of a running server opens again when nobody has it open;
//   - a process that may use it is hidden, or not seen from this pid namespace.
//
// A process can't use a kind if the files that it has mapped to execute import none of
// the functions for it. What can't be read can do anything. A POSIX object that the
// kernel gives a write lease on (fcntl(2)) is open nowhere, whoever is hidden; one that it
// refuses is open, even if no descriptor shows it.
//
// What another mount namespace shows as its /dev/shm is a list of files, and evidence for
// nothing else; see openShm for what is refused.
//
// Evidence for removal comes only from what an attacker can't write. A process's name,
// directory, environment or mount namespace may make a verdict more careful, never less.
//
// What is not seen: a program that makes the calls by number (syscall(2)), or finds them by
// dlsym(3) without a library that is known for that (libffi and others), and is linked
// dynamically, a process of another user that is let in by the mode alone while it
// neither waits nor is attached, and one that has changed all of its user ids.
//
// A process id may have been given to another process since. That is so if the
// process was started after the time that belongs to the id, provided that the
// clock was not set in between; where it was, which can be told only in part, a
// process of the object's owner is given the benefit of the doubt.
package inventory
