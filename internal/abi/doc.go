// Package abi is the only place that knows a system call number or the layout
// of a kernel structure. It turns both into Go functions and types that are the
// same on every architecture; what a call means is told in package sysv.
//
// Three families of architectures differ in how System V IPC is called:
//
//   - most have one system call for each operation;
//   - 386, mips (o32), ppc64 and s390x have had only the multiplexer ipc(2)
//     until Linux 5.1, and still have it, so it is what is used there;
//   - arm and mips64 have the separate calls, but want IPC_64 or-ed into the
//     command of each *ctl.
//
// Functions whose names begin with Try, and those documented as such, are made
// with RawSyscall: the Go scheduler does not learn of them, which is right (and
// fast) only because they never sleep. All others go through Syscall. Both are
// those of package syscall: through those of x/sys/unix a call takes 35 ns more.
package abi
