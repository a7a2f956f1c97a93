// Package abi is the only place that knows a system call number or the layout
// of a kernel structure. It turns both into Go functions and types that are the
// same on every architecture. Package sysv documents what the calls mean.
//
// Three families of architectures differ in how System V IPC is called:
//
//   - most have one system call for each operation;
//   - 386, mips (o32), ppc64 and s390x had only the multiplexer ipc(2) until
//     Linux 5.1. They still have it, so it is used there;
//   - arm and mips64 have the separate calls, but need IPC_64 in the command of
//     each *ctl.
//
// Functions that never sleep, whose names begin with Try or that are documented as
// such, use RawSyscall, which is faster because it does not tell the Go scheduler. All
// others use Syscall. Both are functions of package syscall: with those of x/sys/unix, a
// call takes 35 ns more.
package abi
