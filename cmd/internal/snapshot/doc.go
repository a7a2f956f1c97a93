// Package snapshot writes what gipcs ls sees to a file, reads such files, and compares two
// of them: which objects came, went and grew, and whose they are.
//
// A snapshot is a text of lines. The first line is a JSON object, the [Header]. Each other
// line is an object with the fields of gipcs ls that its kind has. A reader ignores fields
// it does not know, so fields can be added without a new format version. The whole may be
// compressed with gzip.
//
// Comparing needs nothing but the two snapshots. Identifiers are reused, and so are pids:
// see same for when two lines are the same object.
package snapshot
