// Package selection selects objects by expressions over their fields, in the language
// of github.com/expr-lang/expr:
//
//	kind == "sem" && owner == "www-data" && age > duration("1h") && orphan
//
// The fields are a listing's columns and a few conditions (fields.Fields). In addition
// to the language's own functions there are
//
//	duration("1d12h")  a length of time; units w d h m s
//	size("1.5MiB")     a number of bytes
//	key("0x4d2")       a key, any C integer
//
// Their argument is a text in quotes, which is checked before anything is collected.
// Only what an expression mentions is collected.
//
// # Unknown values
//
// An object may lack a field (a semaphore set has no nattch), or the field may be
// unknown (the verdict, if processes are hidden). Such a field decides nothing: neither
// nattch == 0 nor nattch != 0 selects a set. In detail: each comparison that mentions
// an unknown field is itself unknown; "and", "or" and "not" combine unknowns as in SQL
// (Kleene's logic); and an object is selected only if the whole is certainly true. So
//
//	kind == "sem" || nattch == 0    selects all sets
//	!(nattch == 0)                  selects no set
//	!orphan                         selects nothing whose verdict is unknown
//
// Only field == nil and field != nil test whether a field is known: otime == nil
// selects sets that were never used.
//
// Anything more than a comparison (the operator ?:, let, functions of lists) is known
// if all fields in it are.
//
// An expression may fail for an object: it divides by zero, or reads beyond the end of
// a list. Such an object is left out and counted (Choice).
//
// # Bounds
//
// For each object, the lists that an expression makes have at most 100,000 elements in
// all, and list functions cannot be nested.
//
// # Numbers
//
// Numbers are integers. In a program with 32-bit ints they are floating-point numbers,
// which are large enough but have no remainder (%).
package selection
