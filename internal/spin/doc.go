// Package spin is for loops that wait for another processor: the instruction that
// makes them cheap, and whether they make sense at all.
package spin
