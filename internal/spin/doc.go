// Package spin supports loops that wait for another processor. It provides the instruction
// that makes them cheap, and reports whether they make sense.
package spin
