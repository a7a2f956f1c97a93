// Package units reads and writes the quantities of the command line: sizes,
// permission modes, identifiers, counts and ages.
//
// The readers take exactly one number and nothing around it: no blanks, no
// sign, no digit separators. A value that does not fit is an error and is
// never cut or wrapped. An error's text quotes what was given and says what
// would have been right.
package units
