// Package addrspace lets a program start under a small limit of address space
// (RLIMIT_AS, ulimit -v), as batch systems set it. A program imports it for that
// effect alone.
//
// When it starts, Go's runtime reserves more than a gigabyte of addresses for its
// tables, of which a small program uses a few pages. It maps them without access, and
// maps the pages that it uses once more, at their addresses, with access. Only the
// latter takes memory, but the limit counts both: without this package a program of Go
// ends under `ulimit -v 1000000` before its first statement.
//
// Where there is no room for that, the package hands out addresses at which
// nothing is mapped and where neither the kernel nor the runtime puts anything by
// itself. Where there is room nothing changes. The pages that are used count as
// before, so the limit still holds the program's memory.
//
// The runtime has a hook through which race detector and sanitizers see its mappings;
// the package uses that one. It works on linux/amd64; elsewhere it does nothing.
package addrspace
