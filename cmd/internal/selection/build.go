package selection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

// The functions in this file turn the words of flags and policies into expressions.

// LongerThan returns the expression that a field of type duration is longer than text.
func LongerThan(field, text string) (string, error) {
	_, err := units.ParseDuration(text)
	return fmt.Sprintf("%s > duration(%q)", field, text), err
}

// WithKey returns the expression that is true for the key that text names: 0x4d2, key:1234,
// ftok:PATH[:PROJ] or private.
func WithKey(text string) (string, error) {
	key, err := ParseKey(text)
	if key == sysv.Private {
		return "key == 0", err
	}
	return fmt.Sprintf("key == key(%q)", key), err
}

// ParseKey returns the key for WithKey.
func ParseKey(text string) (sysv.Key, error) {
	if text == "private" {
		return sysv.Private, nil
	}
	r, err := ref.Parse(text)
	if err == nil && r.Form != ref.ByKey {
		err = fmt.Errorf("%q is not a key; write 0x4d2, key:1234, ftok:PATH[:PROJ] or private", text)
	}
	return r.Key, err
}

// KindWords returns the words that OfKinds accepts.
func KindWords() (words []string) {
	for _, kind := range ref.Kinds() {
		words = append(words, kind.String())
	}
	return append(words, "sysv", "posix")
}

// OfKinds returns the expression that the kind is one of words. The words sysv and posix do
// not name their kinds, so it is no error if one of these kinds cannot be listed.
func OfKinds(words ...string) (string, error) {
	var terms []string
	for _, word := range words {
		term := fmt.Sprintf("kind == %q", word)
		switch {
		case word == "sysv":
			term = `!(kind startsWith "p")`
		case word == "posix":
			term = `kind startsWith "p"`
		case !slices.Contains(KindWords(), word):
			return "", fmt.Errorf("there is no kind %q; the kinds are %s", word, strings.Join(KindWords(), " "))
		}
		if !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	}
	return strings.Join(terms, " || "), nil
}
