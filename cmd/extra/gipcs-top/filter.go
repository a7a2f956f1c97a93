//go:build linux

package main

import (
	"slices"
	"strings"
	"unicode"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// A filter is an expression that the user edits, and the last one that was right.
type filter struct {
	text    []rune
	at      int // the cursor, an index of text
	err     error
	names   []string // completions that Tab has found
	applied string
	good    selection.Selection // applied, parsed; nil selects everything
}

// newFilter returns the filter for an expression; "" selects everything.
func newFilter(text string) (filter, error) {
	var f filter
	f.insert(text)
	return f, f.err
}

// parse makes the text the filter if it is right. Otherwise the last one stays.
func (f *filter) parse() {
	f.names, f.err = nil, nil
	text := strings.TrimSpace(string(f.text))
	if text == "" {
		f.applied, f.good = "", nil
		return
	}
	condition, err := selection.Parse(text)
	if err != nil {
		f.err = err
		return
	}
	f.applied, f.good = text, selection.Selection{condition}
}

// reset makes the text that of the filter.
func (f *filter) reset() {
	f.text, f.err, f.names = []rune(f.applied), nil, nil
	f.at = len(f.text)
}

// insert inserts text at the cursor, without what does not print.
func (f *filter) insert(text string) {
	const longest = 1000
	var more []rune
	for _, r := range text {
		if unicode.IsPrint(r) && len(f.text)+len(more) < longest {
			more = append(more, r)
		}
	}
	f.text = slices.Insert(f.text, f.at, more...)
	f.at += len(more)
	f.parse()
}

// edit obeys a key that moves the cursor or deletes. It reports whether the key is one.
func (f *filter) edit(key string) bool {
	from := f.at // what lies between from and the cursor is deleted
	switch key {
	case "left":
		f.at = max(f.at-1, 0)
		return true
	case "right":
		f.at = min(f.at+1, len(f.text))
		return true
	case "home", "ctrl+a":
		f.at = 0
		return true
	case "end", "ctrl+e":
		f.at = len(f.text)
		return true
	case "backspace":
		from = max(f.at-1, 0)
	case "delete":
		f.at = min(f.at+1, len(f.text))
	case "ctrl+u":
		from = 0
	case "ctrl+w":
		for from > 0 && f.text[from-1] == ' ' {
			from--
		}
		for from > 0 && f.text[from-1] != ' ' {
			from--
		}
	default:
		return false
	}
	f.text = slices.Delete(f.text, from, f.at)
	f.at = from
	f.parse()
	return true
}

// complete completes the name of a field before the cursor. If there are several, it offers
// them.
func (f *filter) complete() {
	start := f.at
	for start > 0 && (unicode.IsLetter(f.text[start-1]) || f.text[start-1] == '_') {
		start--
	}
	word := string(f.text[start:f.at])
	var names []string
	for _, field := range fields.Fields() {
		if strings.HasPrefix(field.Name, word) {
			names = append(names, field.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	common := names[0]
	for _, name := range names {
		for !strings.HasPrefix(name, common) {
			common = common[:len(common)-1]
		}
	}
	f.insert(common[len(word):])
	if len(names) > 1 {
		f.names = names
	}
}
