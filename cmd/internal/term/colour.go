package term

import "os"

// ColourEnabled reports whether output to fd should be coloured: fd is a terminal,
// NO_COLOR is empty or unset, and TERM is set and not "dumb".
func ColourEnabled(fd uintptr) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if kind := os.Getenv("TERM"); kind == "" || kind == "dumb" {
		return false
	}
	return IsTerminal(fd)
}
