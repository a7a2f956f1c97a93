// Package procfs reads what /proc tells of processes and System V IPC: which
// segments a process maps, in which system call a thread sleeps, to which IPC
// namespace and container a process belongs.
//
// Parsing is apart from reading. Every Parse function takes bytes, and ScanMaps a
// reader, of any origin; none trusts its input. Text that a process chooses for
// itself (its name, its command line) is returned as it is: whoever prints it has
// to escape it.
//
// An FS reads a proc file system (proc(5)). What the caller may not see is an
// error that is fs.ErrPermission, a process that is gone one that is
// fs.ErrNotExist.
package procfs
