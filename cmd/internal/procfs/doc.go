// Package procfs reads what /proc shows about processes and System V IPC: which
// segments a process maps, in which system call a thread sleeps, and the IPC namespace
// and container of a process.
//
// Parsing is separate from reading. The Parse functions take bytes, and ScanMaps takes a
// reader; none of them trusts its input. Text that a process controls (its name, its
// command line) is returned unchanged; escape it before printing it.
//
// An FS reads a proc file system (proc(5)). Its errors are fs.ErrPermission for what
// the caller may not see, and fs.ErrNotExist for a process that has ended.
package procfs
