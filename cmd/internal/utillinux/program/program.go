// Package program is what ipcs, ipcrm, ipcmk and lsipc have in common: how they
// read their command line, what their messages look like, and how they end.
package program

import (
	"bufio"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
)

// Exit statuses.
const (
	Success = 0
	Failure = 1
)

// Env is what a program gets from where it is started. All fields must be set.
type Env struct {
	Name      string // argv[0], as messages have it
	Version   string // of gipc
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(name string) (value string, ok bool)
}

// Main is a program: it does what args say and returns the exit status.
type Main func(args []string, env Env) int

// A Program is a running program.
type Program struct {
	Env
	Out *bufio.Writer // standard output; Exit flushes it
}

// Start returns the program of an environment.
func Start(env Env) *Program {
	const size = 64 << 10
	return &Program{Env: env, Out: bufio.NewWriterSize(env.Stdout, size)}
}

// ShortName is the name of the program without directories.
func (p *Program) ShortName() string { return filepath.Base(p.Name) }

// Warn prints a message to standard error, behind what was printed so far.
func (p *Program) Warn(message string) {
	_ = p.Out.Flush() // Exit sees the error again
	_, _ = io.WriteString(p.Stderr, p.ShortName()+": "+message+"\n")
}

// WarnError is Warn with the text of the error number that err is about.
func (p *Program) WarnError(message string, err error) { p.Warn(message + ": " + Strerror(err)) }

// Fail is Warn, and returns Failure.
func (p *Program) Fail(message string) int {
	p.Warn(message)
	return Failure
}

// FailError is WarnError, and returns Failure.
func (p *Program) FailError(message string, err error) int {
	p.WarnError(message, err)
	return Failure
}

// FailNumber reports an argument that is no number (EINVAL) or one that does not
// fit (ERANGE), and returns Failure.
func (p *Program) FailNumber(message, argument string, err error) int {
	p.WarnNumber(message, argument, err)
	return Failure
}

// WarnNumber is FailNumber for a program that goes on.
func (p *Program) WarnNumber(message, argument string, err error) {
	message += ": '" + argument + "'"
	if errors.Is(err, syscall.ERANGE) {
		p.WarnError(message, err)
	} else {
		p.Warn(message)
	}
}

// Misuse points to the help and returns Failure.
func (p *Program) Misuse() int {
	_, _ = io.WriteString(p.Stderr, "Try '"+p.ShortName()+" --help' for more information.\n")
	return Failure
}

// BadOption reports what getopt found wrong, under the name by which the program was
// called, and returns Failure.
func (p *Program) BadOption(err error) int {
	_, _ = io.WriteString(p.Stderr, p.Name+": "+err.Error()+"\n")
	return p.Misuse()
}

// Options reads the command line. The result holds what stood in front of an
// error.
func (p *Program) Options(options []getopt.Option, args []string) (getopt.Result, error) {
	if _, inOrder := p.LookupEnv("POSIXLY_CORRECT"); inOrder {
		return getopt.ParseInOrder(options, args)
	}
	return getopt.Parse(options, args)
}

// PrintVersion prints the version and whose behaviour it has.
func (p *Program) PrintVersion() int {
	_, _ = p.Out.WriteString(p.ShortName() + " from gipc " + p.Version + " (compatible with util-linux 2.38.1)\n")
	return Success
}

// PrintHelp prints a help text in which NAME stands for the program's name.
func (p *Program) PrintHelp(text string) int {
	_, _ = p.Out.WriteString(strings.ReplaceAll(text, "NAME", p.ShortName()))
	return Success
}

// Exit flushes standard output and returns the exit status: status, or Failure if
// something could not be written. A closed pipe is no failure: whoever reads has
// seen enough.
func (p *Program) Exit(status int) int {
	switch err := p.Out.Flush(); {
	case err == nil || errors.Is(err, syscall.EPIPE):
		return status
	default:
		_, _ = io.WriteString(p.Stderr, p.ShortName()+": write error: "+Strerror(err)+"\n")
		return Failure
	}
}

// Strerror returns the text of the C library for the error number in err, or the
// error's own text if there is none in it.
func Strerror(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error() // the same, but for the case of the first letter
	return strings.ToUpper(text[:1]) + text[1:]
}

// IsUTF8 tells whether the locale says that text is UTF-8.
func (p *Program) IsUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale, _ := p.LookupEnv(name); locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}
