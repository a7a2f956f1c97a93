// Package term makes text safe to show on a terminal and asks the terminal
// what it can show.
package term
