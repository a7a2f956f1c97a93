// Package sysvipc lists, finds and removes System V IPC objects and reads their limits,
// in the cheapest way that the kernel allows.
//
// There are three ways to list. Walking the kernel's table by index (package sysv)
// takes a system call for each index: about half a microsecond for an object, half of
// that for an unused index. /proc/sysvipc lists all objects as text, about 1.7 microseconds
// each, and skips unused indices. So the table is walked unless it is
// sparse: few objects, one of them with a high index (because of sysctl
// kernel.shm_next_id and its like, or after a clean-up). Kernels before 4.17 lack the
// command that walks the table without permissions, and a security policy (SELinux,
// seccomp) may refuse it; then /proc is read. Without /proc, *_STAT finds the objects
// that the caller may read.
//
// If one way fails the next is tried, for each kind separately. Some facts may stay
// unknown: the limit of a queue (UnknownQBytes), which /proc does not show, or some of the
// objects; then the listing ends with an *Incomplete.
package sysvipc
