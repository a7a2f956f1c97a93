// Package demo is a writer and a reader that exchange lines of text through a
// shared memory segment guarded by semaphores: the textbook pair, mended.
//
// Any number of writers and one reader meet in a Session: a segment with room for
// one chunk of text, and a set of seven semaphores.
//
//	free     1  the chunk may be filled
//	full     0  the chunk may be taken
//	writer   1  a writer may begin a line
//	reader   1  there is no reader
//	door     1  the session may be entered
//	users    0  processes in the session
//	segment  -  whether the segment was made; it also marks the set as the demo's
//
// A line longer than a chunk travels in several; its writer holds the writer
// semaphore from the first to the last, so lines never mix.
//
// Whoever is killed gives back what it held, because every decrement is undone by
// the kernel (SEM_UNDO) until the semop that hands the chunk over cancels the undo
// in the same step. So the next writer finds the chunk free, and the next reader
// finds what the killed one had not finished. Users are counted in the same way.
//
// Whoever enters closes the door in the same semop, and opens it again when he has
// the segment mapped. The one that takes the count of users to zero closes it in
// the same semop too, so that nobody can enter a session that is going away, and
// removes both objects. If he is killed before he is done, the door opens, and the
// next one finds in the segment semaphore that it has to be made.
//
// A Classic is the pair as textbooks print it: one semaphore that counts lines,
// and nothing that keeps a writer from overwriting a line before it was read.
package demo
