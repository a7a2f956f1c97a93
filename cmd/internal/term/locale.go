package term

import "strings"

// IsUTF8 reports whether the locale's characters are encoded in UTF-8, as the environment
// says. getenv returns "" for a variable that is not set.
func IsUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := getenv(name); locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}
