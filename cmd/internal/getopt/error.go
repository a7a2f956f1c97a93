package getopt

import "strings"

// A Reason says what is wrong with an option.
type Reason int

const (
	// UnknownOption: the option is not in the table.
	UnknownOption Reason = iota
	// AmbiguousOption: it abbreviates the names of several options.
	AmbiguousOption
	// MissingArgument: an option at the end of the command line needs an argument.
	MissingArgument
	// UnexpectedArgument: a long option that takes no argument has one attached.
	UnexpectedArgument
)

// An Error is a mistake in a command line's options.
type Error struct {
	Reason Reason
	// Arg is the command-line element as given: "-mpx", "--foo=bar".
	Arg string
	// Option is the option in Arg: "-x", "--foo". An abbreviated long option is spelled
	// out if it is known.
	Option string
	// Candidates are the options that an ambiguous one may abbreviate, in the order of
	// the table.
	Candidates []string
}

// Error returns the message that glibc prints after the program's name and ": ". It
// contains bytes of the command line unchanged: escape it before writing it to a
// terminal.
func (e *Error) Error() string {
	if !strings.HasPrefix(e.Arg, "--") {
		return e.short()
	}
	switch e.Reason {
	case AmbiguousOption:
		return "option '" + e.Arg + "' is ambiguous; possibilities: '" + strings.Join(e.Candidates, "' '") + "'"
	case MissingArgument:
		return "option '" + e.Option + "' requires an argument"
	case UnexpectedArgument:
		return "option '" + e.Option + "' doesn't allow an argument"
	default:
		return "unrecognized option '" + e.Arg + "'"
	}
}

func (e *Error) short() string {
	name := strings.TrimPrefix(e.Option, "-")
	if e.Reason == MissingArgument {
		return "option requires an argument -- '" + name + "'"
	}
	return "invalid option -- '" + name + "'"
}
