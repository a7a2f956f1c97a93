//go:build linux

// Gshm-trace runs a program and shows the System V and POSIX IPC calls that it and its
// children make. See gshm-trace(1) or gshm-trace --help.
package main

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/extra/internal/tracer"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

func main() {
	tracer.Child()
	os.Exit(command.Run(app(), os.Args))
}

const description = `Shows every System V and POSIX IPC call of COMMAND and its children, and each
wait for a futex in shared memory, with its result and duration in seconds.
COMMAND needs no preparation and gshm-trace no privileges; other calls run at
full speed. The trace goes to standard error, or to FILE.

The exit status is that of COMMAND, 128 plus the number of the signal that
killed it, 1 if something failed or 2 if the command line was wrong.`

func app() *cli.App {
	return &cli.App{
		Name:        "gshm-trace",
		Usage:       "show the IPC calls of a program and how long they wait",
		UsageText:   "gshm trace [options] -- COMMAND [ARG...]",
		Description: description,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "summary", Aliases: []string{"c"}, Usage: "sum up by object and semaphore instead", DisableDefaultText: true},
			&cli.BoolFlag{Name: "folded", Usage: "print microseconds waited, for a flame graph", DisableDefaultText: true},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the trace to `FILE`", DefaultText: "standard error"},
			&cli.BoolFlag{Name: "time", Aliases: []string{"t"}, Usage: "begin each line with the time of day", DisableDefaultText: true},
		}, command.FormatFlags("plain")...),
		Action: run,
	}
}

// options holds what the flags say.
type options struct {
	argv            []string
	summary, folded bool
	time            bool
	format          render.Format
	output          string
}

func readOptions(c *cli.Context) (o options, err error) {
	o = options{argv: c.Args().Slice(), summary: c.Bool("summary"), folded: c.Bool("folded"), time: c.Bool("time"), output: c.String("output")}
	if o.format, err = command.FormatOf(c); err != nil {
		return o, err
	}
	switch {
	case len(o.argv) == 0:
		return o, command.Usagef("COMMAND is missing; write it after --")
	case !separated(o.argv): // COMMAND's flags would be taken for ours
		return o, command.Usagef("write -- before the command: gshm trace -- %s", o.argv[0])
	case c.IsSet("output") && o.output == "":
		return o, command.Usagef("--output: the name of the file is empty")
	case o.summary && o.folded:
		return o, command.Usagef("--summary and --folded exclude each other")
	case o.folded && o.format != render.Plain:
		return o, command.Usagef("--folded has a format of its own; leave out --format %v", o.format)
	case o.time && (o.summary || o.folded || o.format != render.Plain):
		return o, command.Usagef("--time is for lines of calls; the other formats have no use for it")
	case !o.summary && o.format != render.Plain && o.format != render.NDJSON:
		return o, command.Usagef("calls are printed as they come, in the format plain or ndjson; --format %v needs --summary", o.format)
	}
	return o, nil
}

// separated reports whether all of argv follows the first -- of the command line.
func separated(argv []string) bool {
	i := slices.Index(os.Args, "--")
	return i >= 0 && slices.Equal(os.Args[i+1:], argv)
}

func run(c *cli.Context) error {
	o, err := readOptions(c)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(o.argv[0])
	if err != nil {
		return err
	}
	out := os.Stderr
	if o.output != "" {
		if out, err = os.Create(o.output); err != nil {
			return err
		}
		defer out.Close()
	}
	signals, stop := passedOn()
	defer stop()
	r := newReport(o, out)
	status, err := tracer.Run(c.Context, &tracer.Command{Path: path, Argv: o.argv, Signals: signals, Text: !o.summary && !o.folded}, r)
	if err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	return exitOf(status)
}

// passedOn returns the signals that are passed on to the command.
func passedOn() (signals <-chan os.Signal, stop func()) {
	passed := make(chan os.Signal, 1)
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(s) { // as nohup(1) sets up
			signal.Notify(passed, s)
		}
	}
	// A trace that nobody reads any more must not end this process, and with it the command.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, unix.SIGPIPE)
	return passed, func() { signal.Stop(passed); signal.Stop(broken) }
}

// exitOf returns the exit status that passes on how the command ended.
func exitOf(status unix.WaitStatus) error {
	switch {
	case status.Signaled():
		return command.Exit(128 + int(status.Signal()))
	case status.ExitStatus() != 0:
		return command.Exit(status.ExitStatus())
	default:
		return nil
	}
}

// newReport returns what prints the trace to w.
func newReport(o options, w io.Writer) report {
	if o.summary || o.folded {
		return newSummary(o, w)
	}
	return newListing(o, w)
}

// A report prints the trace.
type report interface {
	tracer.Sink
	finish() error // prints what is still to be printed, and returns the first error of all
}
