//go:build linux

// Package ipccall decodes the system calls of System V and POSIX IPC, and sums them up by
// object. It does not trace: a source of events (package tracer, or another one) passes in
// the number and the arguments of each call and answers questions about the process that
// makes it.
//
// A Decoder knows the calls of 64-bit programs for x86-64 and AArch64, and those of 32-bit
// programs for x86, which make some of them by ipc(2). Filter builds the seccomp program
// that selects these calls.
//
// POSIX objects are files: shm_open(3) and sem_open(3) open, link and unlink files in
// /dev/shm, and sem_wait(3) is a futex(2) on a shared mapping.
package ipccall
