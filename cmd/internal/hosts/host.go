package hosts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// Check returns an error unless text names a host as ssh(1) takes it:
// [USER@]HOST or ssh://[USER@]HOST[:PORT]. HOST can be an alias of ssh_config(5).
func Check(text string) error {
	const want = "want [USER@]HOST or ssh://[USER@]HOST[:PORT]"
	rest, isURL := strings.CutPrefix(text, "ssh://")
	user, host := "", rest
	at := strings.LastIndexByte(rest, '@')
	if at >= 0 {
		user, host = rest[:at], rest[at+1:]
	}
	inHost := "._-:%"
	if isURL {
		inHost += "[]"
	}
	switch {
	case text == "":
		return errors.New("a host is missing: " + want)
	case strings.HasPrefix(text, "-"), strings.HasPrefix(host, "-"):
		return fmt.Errorf("%q is no host: ssh would take it for a flag", text)
	case host == "", at == 0, !isMadeOf(host, inHost), !isMadeOf(user, `._-+\@%=`), strings.HasPrefix(user, "-"):
		return fmt.Errorf("%q is no host: %s", text, want)
	}
	return nil
}

// isMadeOf reports whether s has only ASCII letters, digits and characters of more.
func isMadeOf(s, more string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(more, r)
	})
}

// maxList is the most bytes that a list of hosts may have.
const maxList = 1 << 20

// ReadList reads a list with one host a line. Blank lines are skipped, and a # begins a
// comment.
func ReadList(r io.Reader) (list []string, err error) {
	limited := &io.LimitedReader{R: r, N: maxList + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxList+1)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		switch words := strings.Fields(text); len(words) {
		case 0:
		case 1:
			if err := Check(words[0]); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			list = append(list, words[0])
		default:
			return nil, fmt.Errorf("line %d: %q is not one host", n, strings.TrimSpace(text))
		}
	}
	switch err := lines.Err(); {
	case limited.N == 0:
		return nil, errors.New("the list of hosts is longer than 1 MiB")
	case err != nil:
		return nil, err
	}
	return list, nil
}

// Unique returns list without repetitions, in its order.
func Unique(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(host string) bool {
		again := seen[host]
		seen[host] = true
		return again
	})
}
