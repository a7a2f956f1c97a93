package hosts

import (
	"fmt"
	"strings"
)

// Split splits a command at blanks. A word, or a part of it, between two quotes of the
// same kind, ' or ", may contain blanks.
func Split(command string) (words []string, err error) {
	var word strings.Builder
	begun, quote := false, rune(0)
	for _, r := range command {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r != ' ' && r != '\t' && r != '\n':
			begun = true
			word.WriteRune(r)
		case begun:
			words = append(words, word.String())
			word.Reset()
			begun = false
		}
	}
	if begun {
		words = append(words, word.String())
	}
	switch {
	case quote != 0:
		return nil, fmt.Errorf("%q lacks a closing %c", command, quote)
	case len(words) == 0 || words[0] == "":
		return nil, fmt.Errorf("%q names no program", command)
	}
	return words, nil
}

// Quote returns words as a command line of a POSIX shell.
func Quote(words []string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if word != "" && isMadeOf(word, "./_-+:@,") {
			b.WriteString(word)
			continue
		}
		b.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	return b.String()
}
