// Package demo is a writer and a reader that exchange lines of text through a shared
// memory segment and semaphores: the textbook example, with its faults fixed.
//
// One reader and any number of writers meet in a Session: a segment with room for one
// chunk of text, and a set of seven semaphores.
//
//	free     1  the chunk may be filled
//	full     0  the chunk may be taken
//	writer   1  a writer may begin a line
//	reader   1  there is no reader
//	door     1  the session may be entered
//	users    0  processes in the session
//	segment  -  whether the segment was made; it also marks the set as the demo's
//
// A line longer than a chunk takes several chunks. Its writer holds the writer
// semaphore for all of them, so lines never mix.
//
// A process that is killed gives back what it held: the kernel undoes every decrement
// (SEM_UNDO), until the semop that passes the chunk on cancels that undo in the same
// step. So the next writer finds the chunk free, and the next reader finds what a
// killed reader had not finished. The users semaphore works the same way.
//
// A process that enters closes the door in the same semop, and opens it after mapping
// the segment. The process that takes the user count to zero also closes the door in
// that semop, so that nobody can enter a session that is being removed, and then
// removes both objects. If it is killed before that, the door opens, and the next
// process learns from the segment semaphore that the segment must be made again.
//
// A Classic is the example as textbooks print it: one semaphore counts lines, and
// nothing keeps a writer from overwriting a line that was not read.
package demo
