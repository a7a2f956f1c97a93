// Package backup saves objects before they are removed, and recreates them.
//
// A backup is a directory with a JSON file for each object: shm-65538.json for segment
// 65538, pshm-name.json for the POSIX object /name. It holds the object's attributes
// and the values of a set or the messages of a queue. The contents of memory are beside
// it in shm-65538.data. The .json file gets its name last, when it is complete and on
// disk, and it carries a checksum of itself and of the .data file. So an object is in
// the backup if and only if its .json file exists. Anything else is a fragment that a
// killed process left.
//
// Some things cannot be saved. The kernel lets nobody set an object's creator, its times of
// use, the processes that used it, or the undo adjustments of processes. Reading a message
// of a POSIX queue removes it, so only an empty POSIX queue can be saved.
//
// # Restoring after a kill
//
// Restore notes in shm-65538.restored what it is about to make, and then what it made.
// It marks an unfinished object with an execute bit in its mode, which the kernel
// ignores. So a restore that was killed can be run again: it removes unfinished objects
// and leaves alone the ones that were finished, or saved but never removed. The note
// counts only in its IPC namespace and until the next boot, since no object lives
// longer.
//
// POSIX memory and semaphores get their names when they are complete; their notes hold
// the device and inode.
//
// A process chooses an identifier (sysctl kernel.shm_next_id and its like) and then makes
// the object. If it is killed in between, the next object that anybody makes gets that
// identifier. Running the restore again clears the choice.
package backup
