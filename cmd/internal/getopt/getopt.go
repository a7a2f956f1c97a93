// Package getopt parses command lines like GNU getopt_long(3): grouped short options
// (-mp), attached arguments (-i5, --id=5), long options abbreviated to a unique prefix,
// operands anywhere between the options, and "--", which makes the rest operands. Its
// messages are those of glibc in the C locale.
//
// It reads no environment variables: a program that honours POSIXLY_CORRECT checks it
// and calls [ParseInOrder] instead of [Parse].
package getopt

import (
	"slices"
	"strings"
)

// Arg reports whether an option takes an argument.
type Arg int

const (
	// NoArgument: the option takes none.
	NoArgument Arg = iota
	// RequiredArgument: the argument is attached to the option, or is the next element
	// of the command line, whatever that looks like.
	RequiredArgument
	// OptionalArgument: the argument, if any, is attached to the option.
	OptionalArgument
)

// Option is one option with all its names.
type Option struct {
	// Names are the option's names without dashes. A name of one byte is a short option
	// (-m), any other a long one (--shmems). A [Match] reports the first name.
	Names []string
	Arg   Arg
}

// Match is one option found on a command line.
type Match struct {
	// Name is the first of the option's Names, however it was spelled.
	Name string
	// Value is the option's argument.
	Value string
	// HasValue distinguishes an empty argument (--all=) from none (--all).
	HasValue bool
}

// Result is a parsed command line.
type Result struct {
	// Matches are the options in the order given.
	Matches []Match
	// Operands are the arguments that are neither options nor arguments of options, in
	// the order given.
	Operands []string
	// Terminator is the number of Operands before the "--" that ended the options, or
	// -1 if there was none.
	Terminator int
}

// Parse parses args, the command line without the program's name. Options may follow
// operands.
//
// It stops at the first error, which is always an [*Error]. The Result then holds what
// came before the error, for programs that act on each option as they read it.
func Parse(options []Option, args []string) (Result, error) {
	return parse(options, args, false)
}

// ParseInOrder is [Parse], except that the first operand ends the options, as in glibc
// with POSIXLY_CORRECT or an option string that begins with '+'. Everything after that
// operand is an operand, even "--".
func ParseInOrder(options []Option, args []string) (Result, error) {
	return parse(options, args, true)
}

type parser struct {
	options []Option
	rest    []string // not yet parsed
	result  Result
}

func parse(options []Option, args []string, inOrder bool) (Result, error) {
	p := parser{options: options, rest: args, result: Result{Terminator: -1}}
	for len(p.rest) > 0 {
		arg := p.rest[0]
		switch {
		case arg == "--":
			p.result.Terminator = len(p.result.Operands)
			p.takeOperands(p.rest[1:])
			return p.result, nil
		case isOperand(arg) && inOrder:
			p.takeOperands(p.rest)
			return p.result, nil
		case isOperand(arg): // and so are all that follow, possibly many
			n := slices.IndexFunc(p.rest, func(arg string) bool { return !isOperand(arg) })
			if n < 0 {
				n = len(p.rest)
			}
			p.takeOperands(p.rest[:n])
			p.rest = p.rest[n:]
		default:
			if err := p.takeOption(); err != nil {
				return p.result, err
			}
		}
	}
	return p.result, nil
}

// isOperand reports whether arg is an operand. "-" is one; by convention it is standard
// input.
func isOperand(arg string) bool {
	return !strings.HasPrefix(arg, "-") || arg == "-"
}

func (p *parser) takeOperands(args []string) {
	p.result.Operands = append(p.result.Operands, args...)
}

// takeOption parses the next argument as an option, and the one after it if that is the
// option's argument.
func (p *parser) takeOption() error {
	arg := p.rest[0]
	p.rest = p.rest[1:]
	if strings.HasPrefix(arg, "--") {
		return p.takeLong(arg)
	}
	return p.takeShorts(arg)
}

func (p *parser) takeLong(arg string) error {
	given, value, hasValue := strings.Cut(arg[len("--"):], "=")
	option, name, err := p.findLong(arg, given)
	switch {
	case err != nil:
		return err
	case option.Arg == NoArgument && hasValue:
		return &Error{Reason: UnexpectedArgument, Arg: arg, Option: "--" + name}
	case option.Arg == RequiredArgument && !hasValue:
		return p.takeArgument(option, arg, "--"+name)
	}
	p.match(option, value, hasValue)
	return nil
}

// findLong returns the option that given names or abbreviates, and its full name. A
// prefix of several names of one option is not ambiguous.
func (p *parser) findLong(arg, given string) (found *Option, name string, err error) {
	var others []string
	for i := range p.options {
		option := &p.options[i]
		for _, n := range option.Names {
			switch {
			case len(n) == 1 || !strings.HasPrefix(n, given):
			case n == given:
				return option, n, nil
			case found == nil:
				found, name = option, n
			case found != option:
				others = append(others, "--"+n)
			}
		}
	}
	switch {
	case found == nil:
		return nil, "", &Error{Reason: UnknownOption, Arg: arg, Option: "--" + given}
	case others != nil:
		candidates := append([]string{"--" + name}, others...)
		return nil, "", &Error{Reason: AmbiguousOption, Arg: arg, Option: "--" + given, Candidates: candidates}
	}
	return found, name, nil
}

// takeShorts parses a group of short options. An option that takes an argument ends the
// group, and the rest of arg is its argument.
func (p *parser) takeShorts(arg string) error {
	for i := 1; i < len(arg); i++ {
		name, attached := arg[i:i+1], arg[i+1:]
		option := p.findShort(name)
		switch {
		case option == nil:
			return &Error{Reason: UnknownOption, Arg: arg, Option: "-" + name}
		case option.Arg == NoArgument:
			p.match(option, "", false)
			continue
		case option.Arg == RequiredArgument && attached == "":
			return p.takeArgument(option, arg, "-"+name)
		}
		p.match(option, attached, attached != "")
		return nil
	}
	return nil
}

func (p *parser) findShort(name string) *Option {
	for i := range p.options {
		if slices.Contains(p.options[i].Names, name) {
			return &p.options[i]
		}
	}
	return nil
}

// takeArgument takes the next argument as the option's value, even if it looks like an
// option or is "--".
func (p *parser) takeArgument(option *Option, arg, name string) error {
	if len(p.rest) == 0 {
		return &Error{Reason: MissingArgument, Arg: arg, Option: name}
	}
	p.match(option, p.rest[0], true)
	p.rest = p.rest[1:]
	return nil
}

func (p *parser) match(option *Option, value string, hasValue bool) {
	p.result.Matches = append(p.result.Matches, Match{Name: option.Names[0], Value: value, HasValue: hasValue})
}
