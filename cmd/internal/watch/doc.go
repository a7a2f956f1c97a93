// Package watch reports what happens to the objects between two looks at them: which were
// made, removed, attached or detached, who waits too long, and which limits and verdicts
// changed. For POSIX objects, the kernel also reports each name that comes and goes
// (inotify(7)), so that short-lived ones are seen.
//
// Looks say what is there, not who did it. An event therefore names a process only if the
// kernel recorded it: the creator of a segment, and the last process that attached or
// detached one. Nobody is named for a removal. What begins and ends between two looks leaves
// no event, apart from POSIX objects.
package watch
