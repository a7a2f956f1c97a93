//go:build !linux

package term

// IsTerminal reports false: only Linux is asked.
func IsTerminal(uintptr) bool { return false }

// Width returns 0, "not known": only Linux is asked.
func Width(uintptr) int { return 0 }
