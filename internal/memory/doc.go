// Package memory gives safe access to memory that was mapped by the kernel and
// not allocated by Go: the attachments of package sysv and the mappings of
// package posix.
package memory
