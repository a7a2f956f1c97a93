// Package getopt reads command lines as GNU getopt_long(3) does: grouped short
// options (-mp), attached arguments (-i5, --id=5), long options cut to a unique
// prefix, operands anywhere between the options, and "--" behind which there
// are only operands. Its messages are glibc's in the C locale.
//
// It reads no environment: a program that honours POSIXLY_CORRECT looks for it
// and calls [ParseInOrder] instead of [Parse].
package getopt

import (
	"slices"
	"strings"
)

// Arg says whether an option takes an argument.
type Arg int

const (
	// NoArgument is an option that takes none.
	NoArgument Arg = iota
	// RequiredArgument is an option whose argument is attached to it or is the
	// next element of the command line, whatever that looks like.
	RequiredArgument
	// OptionalArgument is an option whose argument, if any, is attached to it.
	OptionalArgument
)

// Option is one option under all its names.
type Option struct {
	// Names are the option's names without dashes. A name of one byte is a
	// short option (-m), every other a long one (--shmems). The first is the
	// name under which a [Match] reports the option.
	Names []string
	Arg   Arg
}

// Match is one option found on a command line.
type Match struct {
	// Name is the first of the option's Names, however it was spelled.
	Name string
	// Value is the option's argument.
	Value string
	// HasValue tells an empty argument (--all=) from none (--all).
	HasValue bool
}

// Result is what a command line says.
type Result struct {
	// Matches are the options in the order in which they were given.
	Matches []Match
	// Operands are the arguments that are neither options nor the arguments
	// of options, in the order in which they were given.
	Operands []string
	// Terminator is the number of Operands in front of the "--" that ended the
	// options, or -1 if none did.
	Terminator int
}

// Parse reads args, the command line without the program's name. Options may
// stand behind operands.
//
// It stops at the first error, which is always an [*Error]. The Result then
// holds what stood in front of it, for the programs that act on one option
// before they look at the next.
func Parse(options []Option, args []string) (Result, error) {
	return parse(options, args, false)
}

// ParseInOrder is [Parse] with the first operand ending the options, as glibc
// does for an option string that begins with '+' and under POSIXLY_CORRECT.
// What follows that operand is operands, even a "--".
func ParseInOrder(options []Option, args []string) (Result, error) {
	return parse(options, args, true)
}

type parser struct {
	options []Option
	rest    []string // the arguments that were not looked at yet
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
		case isOperand(arg): // with all that follow, for there may be many
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

// isOperand holds for "-" too, by custom the standard input.
func isOperand(arg string) bool {
	return !strings.HasPrefix(arg, "-") || arg == "-"
}

func (p *parser) takeOperands(args []string) {
	p.result.Operands = append(p.result.Operands, args...)
}

// takeOption takes the first argument, and the next one if it belongs to it.
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

// findLong returns the option that is meant by given, and the name that given
// stands for. Several names of one option are no ambiguity.
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

// takeShorts takes a group of short options. The first one that takes an
// argument ends the group: what is left of arg is its argument.
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

// takeArgument takes the next argument as the value of option, even if it
// looks like an option or is "--".
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
