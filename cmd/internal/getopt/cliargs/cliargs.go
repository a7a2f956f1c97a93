// Package cliargs prepares the command line for urfave/cli/v2. By itself cli knows
// neither attached arguments (-i5) nor abbreviated long options, and silently takes
// every flag after an operand for an operand. [Canonical] parses the command line like
// getopt_long(3) and rewrites it in the one form that cli reads correctly:
//
//	argv, err := cliargs.Canonical(app, os.Args)
//	// report err, exit 2
//	err = app.Run(argv)
//
// Canonical cannot hide these properties of cli:
//
//   - UseShortOptionHandling is unnecessary, and makes completion in the middle of a
//     flag panic.
//   - Slice flags split their values at commas, unless the app sets
//     DisableSliceFlagSeparator, and trim spaces, unless they set KeepSpace.
//   - cli adds a subcommand "help", or "h", to every command, which the operand h
//     would run. HideHelpCommand on the command prevents that.
//   - An unknown subcommand is an operand of the root command's action.
//   - The value of a generic flag with aliases is set again, from its own String, for
//     every alias. Set must tolerate that, or the value must have a method Serialize,
//     which cli then calls instead of String.
//   - A generic flag with an optional argument is set to "true" if it has none.
package cliargs

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
)

// Error is a command line that does not fit the flags of a command.
type Error struct {
	// Command is the name of the subcommand after the names of its parents ("image ls"),
	// or empty for the app itself.
	Command string
	// Err is a [*getopt.Error].
	Err error
}

// Error returns the message of Err alone.
func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Canonical rewrites argv, which begins with the program's name, so that app.Run reads
// it like getopt_long(3): every flag under its first name with its value attached, then
// "--", then the operands. App flags come before the subcommand, the subcommand's own
// flags after it.
//
// A "--" after an operand stays among the operands, because a command may need it
// ("attach REF -- COMMAND"): see [Cut] and [Operands]. A "--" before all operands only
// ends the flags and is dropped.
//
// If a request for help comes before the first error, everything but that request is
// dropped. A request for shell completion is returned unchanged. An error is always an
// [*Error].
//
// A generic flag with IsBoolFlag takes an optional argument, which must be attached.
// Flags without a value take no argument, not even "=true". All others require one.
//
// Canonical calls app.Setup, as app.Run does.
func Canonical(app *cli.App, argv []string) ([]string, error) {
	if len(argv) == 0 || wantsCompletion(app, argv) {
		return argv, nil
	}
	app.Setup()
	root := &cli.Command{
		Flags:           app.Flags,
		Subcommands:     app.Commands,
		SkipFlagParsing: app.SkipFlagParsing,
		HideHelp:        true, // Setup has added the flag, if the app wants it
	}
	return appendCommand(argv[:1:1], "", root, argv[1:])
}

// Cut splits a command's cli.Context.Args at the "--" after its first operands. If
// there is none, found is false and before holds all operands.
func Cut(args cli.Args) (before, after []string, found bool) {
	operands := args.Slice()
	i := slices.Index(operands, "--")
	if i < 0 {
		return operands, nil, false
	}
	return operands[:i:i], operands[i+1:], true
}

// Operands returns a command's cli.Context.Args without the "--" at which [Cut] splits
// them, for commands to which it means nothing.
func Operands(args cli.Args) []string {
	before, after, _ := Cut(args)
	return append(before, after...)
}

// wantsCompletion reports whether app.Run would answer with completions.
func wantsCompletion(app *cli.App, argv []string) bool {
	return app.EnableBashCompletion &&
		argv[len(argv)-1] == "--generate-bash-completion" &&
		!slices.Contains(argv, "--")
}

// appendCommand appends the canonical form of args for command to argv. path is the
// command's name in errors.
func appendCommand(argv []string, path string, command *cli.Command, args []string) ([]string, error) {
	if command.SkipFlagParsing {
		return append(argv, args...), nil
	}
	parse := getopt.Parse
	if hasSubcommands(command) {
		parse = getopt.ParseInOrder
	}
	result, err := parse(optionsOf(command), args)
	if asksForHelp(result.Matches) {
		// With an operand cli would look for help on a command of that name.
		return append(argv, "--"+cli.HelpFlag.Names()[0]), nil
	}
	if err != nil {
		return nil, &Error{Command: path, Err: err}
	}
	for _, m := range result.Matches {
		argv = append(argv, spell(m))
	}
	if sub := subcommand(command, result.Operands); sub != nil {
		name := result.Operands[0]
		return appendCommand(append(argv, name), strings.TrimPrefix(path+" "+sub.Name, " "), sub, result.Operands[1:])
	}
	return appendOperands(argv, result), nil
}

// hasSubcommands ignores the "help" that cli adds to every command: a command with
// nothing else has operands, and flags after them.
func hasSubcommands(command *cli.Command) bool {
	return slices.ContainsFunc(command.Subcommands, func(c *cli.Command) bool { return c.Name != "help" })
}

func subcommand(command *cli.Command, operands []string) *cli.Command {
	if len(operands) == 0 || !hasSubcommands(command) {
		return nil
	}
	return command.Command(operands[0])
}

func asksForHelp(matches []getopt.Match) bool {
	return cli.HelpFlag != nil && slices.ContainsFunc(matches, func(m getopt.Match) bool {
		return m.Name == cli.HelpFlag.Names()[0]
	})
}

func appendOperands(argv []string, result getopt.Result) []string {
	if len(result.Operands) == 0 {
		return argv
	}
	before := max(result.Terminator, 0)
	argv = slices.Grow(argv, len(result.Operands)+2)
	argv = append(append(argv, "--"), result.Operands[:before]...)
	if before > 0 {
		argv = append(argv, "--")
	}
	return append(argv, result.Operands[before:]...)
}

// spell formats a flag for package flag, where a value may be empty or begin with a
// dash, and one dash and two are the same.
func spell(m getopt.Match) string {
	arg := "--" + m.Name
	if m.HasValue {
		arg += "=" + m.Value
	}
	return arg
}

// optionsOf returns the options for command's flags, including the help flag that cli
// is about to add.
func optionsOf(command *cli.Command) []getopt.Option {
	flags := command.Flags
	if !command.HideHelp && cli.HelpFlag != nil && !slices.Contains(flags, cli.HelpFlag) {
		flags = append(slices.Clip(flags), cli.HelpFlag)
	}
	options := make([]getopt.Option, len(flags))
	for i, f := range flags {
		options[i] = getopt.Option{Names: f.Names(), Arg: argOf(f)}
	}
	return options
}

func argOf(f cli.Flag) getopt.Arg {
	switch f := f.(type) {
	case *cli.GenericFlag:
		if isBool(f) {
			return getopt.OptionalArgument
		}
	case cli.DocGenerationFlag:
		if !f.TakesValue() {
			return getopt.NoArgument
		}
	}
	return getopt.RequiredArgument
}

// isBool reports whether package flag accepts f without a value.
func isBool(f *cli.GenericFlag) bool {
	value := f.Value
	if f.Destination != nil {
		value = f.Destination
	}
	b, ok := value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
