// Package hosts runs one command on many hosts through the system's ssh, and collects
// the lines that it prints on each.
//
// A host answers completely or counts as failed. The answer of a host that fails half
// way is not used, and what a host sends is bounded: in time, in bytes and in the
// length of a line. Nothing of it is trusted: whoever shows it must escape it.
package hosts
