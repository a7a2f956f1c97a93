// Package selection chooses objects by expressions over their fields, in the
// language of github.com/expr-lang/expr:
//
//	kind == "sem" && owner == "www-data" && age > duration("1h") && orphan
//
// The fields are the columns of a listing and a few conditions
// (fields.Fields). Beside the language's own functions there are
//
//	duration("1d12h")  a length of time; w d h m s
//	size("1.5MiB")     a number of bytes
//	key("0x4d2")       a key, in any base of C
//
// which take a text in quotes and are checked before anything is looked up. Only
// what an expression mentions is looked up at all.
//
// # What is not known
//
// An object may lack a field (a semaphore set has no nattch), or it may not be
// known (the verdict, where processes are hidden). Nothing follows from such a
// field: neither nattch == 0 nor nattch != 0 selects a set. In full, each
// comparison that mentions a field that is not known is itself not known; "and",
// "or" and "not" go on with that as SQL does (Kleene's logic), and an object is
// selected only if the whole is certainly true. So
//
//	kind == "sem" || nattch == 0    selects all sets
//	!(nattch == 0)                  selects no set
//	!orphan                         selects nothing whose verdict is unknown
//
// Only field == nil and field != nil ask whether a field is known: otime == nil
// selects sets that nobody has used.
//
// What is more than a comparison (the operator ?:, let, functions of lists) is known if
// all fields inside it are.
//
// An expression may have no value for an object: it divides by zero, or reads beyond the
// end of a list. The object is left out then, and counted (Choice).
//
// # Bounds
//
// The lists that an expression makes for an object have 100,000 elements at the most in
// all, and no function of a list is called for each element of another.
//
// # Numbers
//
// Numbers are integers; where a program has ints of 32 bits they are floating-point
// numbers, which hold all that is needed but know no remainder (%).
package selection
