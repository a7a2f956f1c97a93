package term

import "os"

// ColourEnabled reports whether colours belong in what is written to fd: it is
// a terminal, the environment's NO_COLOR is empty or not set, and TERM names
// a terminal other than "dumb".
func ColourEnabled(fd uintptr) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if kind := os.Getenv("TERM"); kind == "" || kind == "dumb" {
		return false
	}
	return IsTerminal(fd)
}
