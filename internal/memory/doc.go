// Package memory provides safe access to memory that the kernel mapped and Go did not
// allocate: the attachments of package sysv and the mappings of package posix.
package memory
