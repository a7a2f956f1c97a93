// Package sysvipc lists, finds and removes System V IPC objects, and reads their limits,
// in the way that costs least and by whatever the kernel allows.
//
// There are three ways to list. The kernel's table can be walked index by index
// (package sysv), a system call for each: about half a microsecond for an object,
// and a fifth of that for an index that is not in use. /proc/sysvipc gives all
// objects as text, about one and a half microseconds each, and no time for
// unused indices. So the table is walked unless it is sparse: an object with a
// high index (sysctl kernel.shm_next_id and its like, or what a clean-up left)
// among few. Kernels before 4.17 have no command to walk it for everybody, and a
// security policy (SELinux, seccomp) may refuse one; then /proc is read. Where there is
// no /proc, *_STAT finds what the caller may read.
//
// Each way is tried where another one fails, for each kind by itself. What no way
// tells is unknown: the limit of a queue (UnknownQBytes), which /proc does not show,
// or objects that nobody shows; the listing then ends in an *Incomplete.
package sysvipc
