// Package cliargs stands between the command line and urfave/cli/v2, which by
// itself knows no attached arguments (-i5), no long options cut short, and
// takes every flag behind an operand for an operand, silently. [Canonical]
// reads the command line as getopt_long(3) does and writes it anew in the one
// form that cli reads without surprises:
//
//	argv, err := cliargs.Canonical(app, os.Args)
//	// report err, exit 2
//	err = app.Run(argv)
//
// What Canonical cannot help and the app has to be built for:
//
//   - UseShortOptionHandling is not needed, and without it completion in the
//     middle of a flag does not panic.
//   - Slice flags split their values at commas, unless the app has
//     DisableSliceFlagSeparator, and trim their space, unless they have KeepSpace.
//   - cli adds a subcommand "help", "h" for short, to every command: the
//     operand h would run it. HideHelpCommand on the command prevents that.
//   - An unknown subcommand is an operand of the root command's action.
//   - The value of a generic flag with aliases is set again from its own String
//     for every alias. Set must bear that, or the value have a method
//     Serialize, which is then asked instead of String.
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
	// Command is the name of the subcommand, with those above it ("image ls"),
	// and empty for the app itself.
	Command string
	// Err is a [*getopt.Error].
	Err error
}

// Error returns the message of Err alone.
func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Canonical returns argv, which begins with the program's name, in the form
// that app.Run reads as getopt_long(3) would read argv: every flag under its
// first name with its value attached, then "--", then the operands. App flags
// stand in front of the subcommand, the subcommand's own behind it.
//
// A "--" behind an operand stays where it is among the operands, because a
// command may want to know ("attach REF -- COMMAND"): see [Cut] and [Operands].
// A "--" in front of all operands only ends the flags, and is not among them.
//
// If a command is asked for help in front of its first error, nothing else of
// what it was given remains. A request for shell completion is returned as it
// is. An error is always an [*Error].
//
// A generic flag whose value says IsBoolFlag takes an optional argument, which
// has to be attached. Flags that take no value take no argument, not even
// "=true". All others require one.
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

// Cut slices what a command's action finds in cli.Context.Args around the "--"
// behind its first operands. If there is none, found is false and before holds
// all operands.
func Cut(args cli.Args) (before, after []string, found bool) {
	operands := args.Slice()
	i := slices.Index(operands, "--")
	if i < 0 {
		return operands, nil, false
	}
	return operands[:i:i], operands[i+1:], true
}

// Operands returns what a command's action finds in cli.Context.Args without
// the "--" around which [Cut] slices it, for commands to which it means nothing.
func Operands(args cli.Args) []string {
	before, after, _ := Cut(args)
	return append(before, after...)
}

// wantsCompletion holds where app.Run answers with completions.
func wantsCompletion(app *cli.App, argv []string) bool {
	return app.EnableBashCompletion &&
		argv[len(argv)-1] == "--generate-bash-completion" &&
		!slices.Contains(argv, "--")
}

// appendCommand appends to argv what command, called path in errors, is to be
// given for args.
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

// hasSubcommands does not count the "help" that cli adds to everything: with
// nothing else there are operands, and flags behind them.
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

// spell writes a flag as package flag reads it: there a value may be empty or
// begin with a dash, and one or two dashes are the same.
func spell(m getopt.Match) string {
	arg := "--" + m.Name
	if m.HasValue {
		arg += "=" + m.Value
	}
	return arg
}

// optionsOf returns the options of command's flags, among them the help that
// cli is about to add.
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

// isBool tells whether package flag will take f without a value.
func isBool(f *cli.GenericFlag) bool {
	value := f.Value
	if f.Destination != nil {
		value = f.Destination
	}
	b, ok := value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
