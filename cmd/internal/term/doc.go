// Package term makes text safe to show on a terminal and finds out what the terminal
// can show.
package term
