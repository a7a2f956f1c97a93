// Package program is what ipcs, ipcrm, ipcmk and lsipc share: parsing the command line,
// formatting messages, and exiting.
package program

import (
	"bufio"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// Exit statuses.
const (
	Success = 0
	Failure = 1
)

// Env is the environment of a program. All fields must be set.
type Env struct {
	Name      string // argv[0], for messages
	Version   string // of gipc
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(name string) (value string, ok bool)
}

// Main runs a program and returns its exit status.
type Main func(args []string, env Env) int

// A Program is a running program.
type Program struct {
	Env
	Out *bufio.Writer // standard output; Exit flushes it
}

// Start returns a program with its environment.
func Start(env Env) *Program {
	const size = 64 << 10
	return &Program{Env: env, Out: bufio.NewWriterSize(env.Stdout, size)}
}

// ShortName returns the program's name without directories.
func (p *Program) ShortName() string { return filepath.Base(p.Name) }

// Warn prints a message to standard error, after flushing standard output.
func (p *Program) Warn(message string) {
	_ = p.Out.Flush() // Exit sees the error again
	_, _ = io.WriteString(p.Stderr, p.ShortName()+": "+message+"\n")
}

// WarnError is Warn with the text of err's error number.
func (p *Program) WarnError(message string, err error) { p.Warn(message + ": " + Strerror(err)) }

// Fail is Warn and returns Failure.
func (p *Program) Fail(message string) int {
	p.Warn(message)
	return Failure
}

// FailError is WarnError and returns Failure.
func (p *Program) FailError(message string, err error) int {
	p.WarnError(message, err)
	return Failure
}

// FailNumber reports an argument that is not a number (EINVAL) or does not fit
// (ERANGE), and returns Failure.
func (p *Program) FailNumber(message, argument string, err error) int {
	p.WarnNumber(message, argument, err)
	return Failure
}

// WarnNumber is FailNumber for a program that continues.
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

// BadOption reports an error of getopt under the name by which the program was called,
// and returns Failure.
func (p *Program) BadOption(err error) int {
	_, _ = io.WriteString(p.Stderr, p.Name+": "+err.Error()+"\n")
	return p.Misuse()
}

// Options parses the command line. After an error, the result holds what came before
// it.
func (p *Program) Options(options []getopt.Option, args []string) (getopt.Result, error) {
	if _, inOrder := p.LookupEnv("POSIXLY_CORRECT"); inOrder {
		return getopt.ParseInOrder(options, args)
	}
	return getopt.Parse(options, args)
}

// PrintVersion prints the version and the util-linux version it is compatible with.
func (p *Program) PrintVersion() int {
	_, _ = p.Out.WriteString(p.ShortName() + " from gipc " + p.Version + " (compatible with util-linux 2.38.1)\n")
	return Success
}

// PrintHelp prints a help text, with NAME replaced by the program's name.
func (p *Program) PrintHelp(text string) int {
	_, _ = p.Out.WriteString(strings.ReplaceAll(text, "NAME", p.ShortName()))
	return Success
}

// Exit flushes standard output and returns status, or Failure if something could not be
// written. A closed pipe is not a failure: the reader has seen enough.
func (p *Program) Exit(status int) int {
	switch err := p.Out.Flush(); {
	case err == nil || errors.Is(err, syscall.EPIPE):
		return status
	default:
		_, _ = io.WriteString(p.Stderr, p.ShortName()+": write error: "+Strerror(err)+"\n")
		return Failure
	}
}

// Strerror returns the C library's text for the error number in err, or err's own text
// if it has none.
func Strerror(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error() // the same except for the first letter's case
	return strings.ToUpper(text[:1]) + text[1:]
}

// IsUTF8 reports whether the locale's encoding is UTF-8.
func (p *Program) IsUTF8() bool {
	return term.IsUTF8(func(name string) string {
		value, _ := p.LookupEnv(name)
		return value
	})
}
