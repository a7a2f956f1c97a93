// Package command is what gshm and gipcs have in common as programs: reading the
// command line as getopt_long(3) does, one line for an error, and the exit status.
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

// Version is what both commands print: that of the module, or of the release to come.
const Version = "0.1.0-dev"

// Exit statuses.
const (
	Done   = 0
	Failed = 1
	Misuse = 2
)

// An Exit ends the command with a status and without a message, since what there
// was to say has been said.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usageError is a command line that was wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns an error of the command line; the exit status will be Misuse.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Usage makes err an error of the command line, nil if it is nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// IsUsage reports whether err is one of the command line.
func IsUsage(err error) bool { return errors.As(err, &usageError{}) }

// Run runs app and returns the exit status. Errors go to app.ErrWriter, a line
// each.
func Run(app *cli.App, argv []string) int {
	// Most commands are over before it is worth it to collect garbage.
	const percent = 400 // begins at 16 MB
	debug.SetGCPercent(percent)
	out := &output{File: os.Stdout}
	app.Writer = out
	prepare(app)
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

// An output is standard output, and remembers the first error of writing to it: not
// everybody who writes there, cli with its help for one, looks at errors.
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
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Aliases: []string{"V"}, Usage: "print the version", DisableDefaultText: true}
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
	if app.Action == nil {
		app.Action = rejectCommand
	}
}

// prepareCommand prepares a command that stands behind those of path.
func prepareCommand(path string, c *cli.Command) {
	path = strings.TrimPrefix(path+" "+c.Name, " ")
	c.HideHelpCommand = true
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

// rejectCommand is what cli runs for a command that it does not know.
func rejectCommand(c *cli.Context) error {
	known := make([]string, len(c.App.VisibleCommands()))
	for i, command := range c.App.VisibleCommands() {
		known[i] = command.Name
	}
	list := strings.Join(known, ", ")
	if c.NArg() == 0 {
		return Usagef("no command given; the commands are %s", list)
	}
	return Usagef("there is no command %q; the commands are %s", c.Args().First(), list)
}

// Status reports err on w, under the name of the program, and returns the exit
// status that it comes to.
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
		// Whoever read the output has seen enough. A program is then ended by a
		// signal; one that caught it is as quiet.
		return 128 + int(syscall.SIGPIPE)
	case errors.As(err, &wrong):
		Report(w, name, wrong.error)
		return Misuse
	default:
		Report(w, name, err)
		return Failed
	}
}

// explained is an error whose sentence was found before.
type explained struct {
	error
	sentence string
}

func (e explained) Error() string { return e.sentence }

func (e explained) Unwrap() error { return e.error }

// Explained looks up now what err means, rather than when it is reported.
func Explained(err error) error {
	if err == nil {
		return nil
	}
	return explained{err, explain.Error(err)}
}

// Report writes err as one line that a terminal shows as it is.
func Report(w io.Writer, name string, err error) {
	sentence := explained{}
	if !errors.As(err, &sentence) {
		sentence.sentence = explain.Error(err)
	}
	fmt.Fprintf(w, "%s: %s\n", name, OneLine(sentence.sentence))
}

// OneLine makes s safe for a terminal, and a single line. Unlike term.Escape it
// leaves backslashes alone, which messages have of their own.
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

// Operands returns the operands of the command, from least to most
// of them (any number if most is negative). The words what say what they are.
func Operands(c *cli.Context, least, most int, what string) ([]string, error) {
	args := cliargs.Operands(c.Args())
	switch {
	case len(args) < least:
		needed, _, _ := strings.Cut(what, " [")
		return nil, Usagef("%s is missing", needed)
	case most >= 0 && len(args) > most:
		return nil, Usagef("%q is left over; expected is %s", args[most], expected(most, what))
	}
	return args, nil
}

func expected(most int, what string) string {
	if most == 0 {
		return "no argument"
	}
	return what + " alone"
}
