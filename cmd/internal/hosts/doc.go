// Package hosts runs one command on many hosts through the system's ssh, and collects
// the lines that it prints on each.
//
// A host answers completely or counts as failed: if it fails half way, its answer is not
// used. What a host sends is bounded in time, in bytes and in the length of a line. It is
// not trusted: the caller must escape it before showing it.
package hosts
