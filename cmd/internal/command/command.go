// Package command holds what gshm and gipcs share as programs: parsing a command line
// like getopt_long(3), one-line error messages, and exit statuses.
package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/getopt/cliargs"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// Exit statuses.
const (
	Done   = 0
	Failed = 1
	Misuse = 2
)

// An Exit ends the command with a status and no further message.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns an error of the command line; it makes the exit status Misuse.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Usage marks err as an error of the command line. It returns nil for nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// IsUsage reports whether err is an error of the command line.
func IsUsage(err error) bool { return errors.As(err, &usageError{}) }

// Run runs app and returns the exit status. It writes errors to app.ErrWriter, one line
// each.
func Run(app *cli.App, argv []string) int {
	// Most commands end before garbage collection pays off.
	const percent = 400 // starts at 16 MB
	debug.SetGCPercent(percent)
	out := &output{File: os.Stdout}
	app.Writer = out
	prepare(app)
	if err := runExternal(app, argv); err != nil {
		return Status(app.ErrWriter, app.Name, err)
	}
	helpWithExternals(app, argv)
	argv, err := cliargs.Canonical(app, argv)
	if err != nil {
		var wrong *cliargs.Error
		if errors.As(err, &wrong) && wrong.Command != "" {
			err = fmt.Errorf("%s: %w", wrong.Command, err)
		}
		err = usageError{err}
	} else {
		err = app.Run(argv)
	}
	if err == nil {
		err = out.err
	}
	return Status(app.ErrWriter, app.Name, err)
}

// An output is standard output that remembers its first write error: some writers, such
// as cli with its help, ignore errors.
type output struct {
	*os.File
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// prepare makes cli leave messages and exit statuses to Run.
func prepare(app *cli.App) {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Aliases: []string{"V"}, Usage: "print the version and the build", DisableDefaultText: true}
	cli.VersionPrinter = func(c *cli.Context) { _ = printVersion(c.App.Writer, c.App.Name) } // Writer keeps the error
	cli.FlagStringer = flagLine
	app.Version = Version
	app.ErrWriter = os.Stderr
	app.HideHelpCommand = true
	app.EnableBashCompletion = true
	app.DisableSliceFlagSeparator = true
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	for _, c := range app.Commands {
		prepareCommand("", c)
	}
	app.BashComplete = completeExternals(cli.DefaultAppComplete)
	if app.Action == nil {
		app.Action = rejectCommand
	}
}

// prepareCommand prepares the command c, whose parents are path.
func prepareCommand(path string, c *cli.Command) {
	path = strings.TrimPrefix(path+" "+c.Name, " ")
	c.HideHelpCommand = true
	if len(c.Subcommands) == 0 {
		c.CustomHelpTemplate = commandHelp
	}
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	if c.BashComplete == nil {
		c.BashComplete = cli.DefaultCompleteWithFlags(c)
	}
	c.BashComplete = completeValues(c.BashComplete)
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		err := action(ctx)
		if wrong := (usageError{}); errors.As(err, &wrong) {
			return usageError{fmt.Errorf("%s: %w", path, wrong.error)}
		}
		return err
	}
	for _, sub := range c.Subcommands {
		prepareCommand(path, sub)
	}
}

// isExtra reports whether the package gipc-extra has the command.
func isExtra(program, name string) bool {
	switch program + " " + name {
	case "gipcs agent", "gipcs fleet", "gipcs top", "gshm relay", "gshm trace":
		return true
	}
	return false
}

// rejectCommand is what cli runs for an unknown command.
func rejectCommand(c *cli.Context) error {
	known := make([]string, len(c.App.VisibleCommands()))
	for i, command := range c.App.VisibleCommands() {
		known[i] = command.Name
	}
	list := strings.Join(known, ", ")
	if c.NArg() == 0 {
		return Usagef("no command given; the commands are %s", list)
	}
	name := c.Args().First()
	switch {
	case name == "help":
		return Usagef("write --help after a command; the commands are %s", list)
	case isExtra(c.App.Name, name):
		return Usagef("%s %s is not installed; it is in the package gipc-extra", c.App.Name, name)
	}
	return Usagef("there is no command %q; the commands are %s", name, list)
}

// Status reports err on w, prefixed with the program's name, and returns the exit
// status for it.
func Status(w io.Writer, name string, err error) int {
	var (
		exit  Exit
		wrong usageError
	)
	switch {
	case err == nil:
		return Done
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, syscall.EPIPE):
		// The reader has seen enough. Usually the signal ends the program silently; do
		// the same.
		return 128 + int(syscall.SIGPIPE)
	case errors.As(err, &wrong):
		Report(w, name, wrong.error)
		return Misuse
	default:
		Report(w, name, err)
		return Failed
	}
}

// Report writes err as one line, with control characters escaped.
func Report(w io.Writer, name string, err error) {
	fmt.Fprintf(w, "%s: %s\n", name, OneLine(explain.Error(err)))
}

// OneLine makes s a single line that is safe for a terminal. Unlike term.Escape it
// keeps backslashes, which messages contain on purpose.
func OneLine(s string) string {
	var b []byte
	for rest := s; rest != ""; {
		head, tail, found := strings.Cut(rest, `\`)
		b = term.AppendEscape(b, head)
		if found {
			b = append(b, '\\')
		}
		rest = tail
	}
	return string(b)
}

// Operands returns the operands of the command. It is a usage error if there are fewer than
// least or, unless most is negative, more than most. In errors the operands are called what.
func Operands(c *cli.Context, least, most int, what string) ([]string, error) {
	args := cliargs.Operands(c.Args())
	switch {
	case len(args) < least:
		needed, _, _ := strings.Cut(what, " [")
		return nil, Usagef("%s is missing; see %s --help", needed, c.Command.HelpName)
	case most >= 0 && len(args) > most:
		return nil, Usagef("unexpected argument %q; expected %s", args[most], expected(most, what))
	}
	return args, nil
}

func expected(most int, what string) string {
	if most == 0 && what == "" {
		return "none"
	}
	return what
}
