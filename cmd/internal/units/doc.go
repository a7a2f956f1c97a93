// Package units parses and formats the quantities of the command line: sizes,
// permission modes, identifiers, counts and ages.
//
// The parsers take exactly one number and nothing around it: no blanks, no sign, no
// digit separators. A value out of range is an error, never truncated or wrapped. An
// error quotes the input and says what would be right.
package units
