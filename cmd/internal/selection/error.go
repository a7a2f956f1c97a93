package selection

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/file"

	"github.com/sysvipc/gipc/cmd/internal/fields"
)

// An Error describes a mistake in an expression, and its place.
type Error struct {
	Message string
	At      int    // the character, from 1; 0 for the whole expression
	Near    string // the text there
	Fields  string // the existing fields, "" if listing them would not help
}

func (e *Error) Error() string {
	text := e.Message
	if e.At > 0 {
		text += fmt.Sprintf(", at character %d: %q", e.At, e.Near)
	}
	if e.Fields != "" {
		text += "; " + e.Fields
	}
	return text
}

// newError turns an error of package expr, several lines long, into an Error.
func newError(text string, err error) *Error {
	var at *file.Error
	switch {
	case !errors.As(err, &at):
		return &Error{Message: err.Error()}
	case strings.TrimSpace(text) == "":
		return &Error{Message: "it is empty"}
	case at.Message == "unexpected token EOF":
		return &Error{Message: "it ends too early"}
	}
	message := strings.TrimPrefix(at.Message, "runtime error: ")
	switch {
	case strings.HasPrefix(message, "bad number syntax"):
		return &Error{Message: `a number with a unit is written duration("1h") or size("4K")`, At: at.From + 1, Near: near(text, at.From)}
	case strings.HasPrefix(message, `unexpected token Operator("=")`):
		message = "write == to compare"
	}
	if i := strings.Index(message, "(mismatched type"); i >= 0 {
		message = message[:i] + inWords(message[i:])
	}
	return &Error{Message: message, At: at.From + 1, Near: near(text, at.From)}
}

// newTypeError is newError with the list of fields.
func newTypeError(text string, err error, all fields.List) *Error {
	e := newError(text, err)
	e.Fields = byType(all)
	return e
}

// inWords replaces names of Go types by the names of fields.Type.
func inWords(s string) string {
	return strings.NewReplacer(
		"time.Duration", "duration", "time.Time", "time", "[]string", "list of texts", "[]int64", "list of numbers",
		"[]interface {}", "list", "[]interface{}", "list", "interface {}", "value", "interface{}", "value", "[]int", "list of numbers",
		"int64", "number", "int", "number", "float64", "number", "string", "text", "bool", "condition",
	).Replace(s)
}

// near returns the beginning of the text from a character on.
func near(text string, from int) string {
	const most = 20
	runes := []rune(text)
	rest := runes[min(from, len(runes)):]
	if len(rest) > most {
		return string(rest[:most]) + "…"
	}
	return string(rest)
}

// byType lists all fields by type.
func byType(all fields.List) string {
	var lists []string
	for t := fields.Text; t <= fields.Numbers; t++ {
		var names []string
		for _, f := range all {
			if f.Type == t {
				names = append(names, f.Name)
			}
		}
		lists = append(lists, fmt.Sprintf("%v: %s", t, strings.Join(names, " ")))
	}
	return "the fields are " + strings.Join(lists, "; ")
}
