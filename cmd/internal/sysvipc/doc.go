// Package sysvipc lists System V IPC objects in the way that costs least, and
// reads /proc/sysvipc, which alone tells how much of a segment is in memory and
// how much in swap.
//
// There are two ways to list. The kernel's id table can be walked index by index
// (package sysv), a system call for each: about half a microsecond for an object,
// and a fifth of that for an index that is not in use. /proc/sysvipc gives all
// objects as text, about one and a half microseconds each, and no time for
// unused indices. So the table is walked unless it is sparse: an object with a
// high index (sysctl kernel.shm_next_id and its like, or what a clean-up left)
// among few. Kernels before 4.17 can not walk it for everybody, only /proc can.
package sysvipc
