// Package addrspace lets a program start under a small limit on its address space
// (RLIMIT_AS, ulimit -v), such as batch systems set. Import it for this effect alone.
//
// At start, Go's runtime reserves more than a gigabyte of addresses for its tables, of
// which a small program uses a few pages. It first maps the tables without access, and
// later maps the pages in use again with access. Only the latter need memory, but the
// limit counts both. Without this package a Go program dies under `ulimit -v 1000000`
// before its first statement.
//
// If the limit leaves too little room, this package skips the reservation: it hands the
// runtime unmapped addresses where neither the kernel nor the runtime places anything
// on its own. Otherwise nothing changes. Pages in use count as before, so the limit
// still bounds the program's memory.
//
// The package uses the hook through which the race detector and the sanitizers see the
// runtime's mappings. It works on linux/amd64 and does nothing elsewhere.
package addrspace
