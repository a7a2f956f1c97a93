package getopt

import "strings"

// Reason is what is wrong with an option.
type Reason int

const (
	// UnknownOption is an option that is not in the table.
	UnknownOption Reason = iota
	// AmbiguousOption is the beginning of the names of several options.
	AmbiguousOption
	// MissingArgument is an option at the end of the command line that needs
	// an argument.
	MissingArgument
	// UnexpectedArgument is an argument attached to a long option that takes none.
	UnexpectedArgument
)

// Error is a command line that does not fit its options.
type Error struct {
	Reason Reason
	// Arg is the element of the command line, as it was given: "-mpx", "--foo=bar".
	Arg string
	// Option is the option in it: "-x", "--foo". A long option has the whole
	// name that it stands for, if there is one.
	Option string
	// Candidates are the options that an ambiguous one may stand for, in the
	// order of the table.
	Candidates []string
}

// Error returns what glibc prints behind the program's name and ": ". It
// repeats bytes of the command line as they are: whoever writes to a terminal
// makes them harmless first.
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
