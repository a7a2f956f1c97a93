// Package backup saves objects before they are removed, and makes them again.
//
// A backup is a directory with a file for each object, shm-65538.json for the
// segment 65538, pshm-name.json for the POSIX object /name, which holds its
// attributes, the values of a set or the messages of a queue; the contents of memory
// are in shm-65538.data beside it. The .json
// file is written last, under its name only when it is whole and on disk, and has
// the checksum of itself and of the .data file. So an object is in the backup if,
// and only if, its .json file is there: what else a killed process left is known
// to be a fragment.
//
// What can't be saved, because the kernel does not let anybody set it, is who made
// an object, when it was used and by whom, and the undo adjustments of processes. What
// can't be saved, because the kernel does not let anybody read it without taking it,
// is the messages of a POSIX queue: only an empty one can be saved.
//
// # Restoring after a kill
//
// Restoring notes in shm-65538.restored what it is about to make, and then what it
// has made, and marks an object that is not finished by an execute bit in its mode,
// which means nothing to the kernel. So a restore that was killed can be run again: it
// removes what was half made, and leaves alone what was finished, or what was saved
// but never removed. The note counts only in the namespace it was made in, until the
// system is started anew, since no object lives longer.
//
// POSIX memory and semaphores get their names when they are whole; what is noted is
// their files.
//
// A kill between choosing an identifier (sysctl kernel.shm_next_id and its like) and
// making the object leaves that choice to whoever makes an object next. Restoring
// again spends it.
package backup
