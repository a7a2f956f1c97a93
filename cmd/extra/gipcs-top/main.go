//go:build linux

// Gipcs-top shows the System V and POSIX IPC objects of a machine while they change. See
// gipcs-top(8) or gipcs-top --help.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

func main() { os.Exit(command.Run(app(), os.Args)) }

const aboutTop = `Objects are those of the IPC namespace and the /dev/shm in which it runs. As
root it sees the users of all objects. ? shows the keys.

An object is removed only after you have seen its verdict with the reasons, and
answered y; if it is used or changed meanwhile it is left alone.

With --once it prints one listing, with the changes per second over one
interval, and ends.`

func app() *cli.App {
	return &cli.App{
		Name:        "gipcs-top",
		Usage:       "watch IPC objects while they change",
		UsageText:   "gipcs top [options]",
		Description: aboutTop,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "where", Aliases: []string{"w"}, Usage: "begin with objects for which `EXPR` is true"},
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "sort", Value: "-bytes", Usage: "sort by `COLUMN`; -COLUMN reverses it"},
				Words:      columnNames,
			},
			&cli.StringFlag{Name: "interval", Aliases: []string{"i"}, Value: "2s", Usage: "collect every `DURATION`, 100ms or more"},
			&cli.BoolFlag{Name: "read-only", Aliases: []string{"r"}, Usage: "never remove anything", DisableDefaultText: true},
			&cli.BoolFlag{Name: "once", Usage: "print one listing and end", DisableDefaultText: true},
		}, command.FormatFlags("plain")...),
		Action: run,
	}
}

// newModel returns the model that the flags describe.
func newModel(c *cli.Context) (*model, error) {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return nil, err
	}
	m := &model{readOnly: c.Bool("read-only"), glyphs: asciiGlyphs(), tracks: make(map[identity]*track)}
	if term.IsUTF8(os.Getenv) {
		m.glyphs = unicodeGlyphs()
	}
	var err error
	if m.interval, err = units.ParseDuration(c.String("interval")); err != nil {
		return nil, command.Usagef("--interval: %w", err)
	}
	if least := 100 * time.Millisecond; m.interval < least {
		return nil, command.Usagef("--interval: %v is too short; the shortest is %v", m.interval, least)
	}
	if m.order, err = parseOrder(c.String("sort")); err != nil {
		return nil, command.Usagef("--sort: %w", err)
	}
	if m.filter, err = newFilter(c.String("where")); err != nil {
		return nil, command.Usagef("--where: %w", err)
	}
	return m, nil
}

func run(c *cli.Context) error {
	m, err := newModel(c)
	if err != nil {
		return err
	}
	ctx, stop := command.Interruptible(context.Background())
	defer stop()
	if c.Bool("once") {
		return once(ctx, c, m)
	}
	if c.IsSet("format") || c.IsSet("json") {
		return command.Usagef("--format and --json belong to --once")
	}
	if !command.IsTerminal(os.Stdin) || !command.IsTerminal(os.Stdout) {
		return command.Usagef("standard input or output is no terminal; --once prints a listing")
	}
	if kind := os.Getenv("TERM"); kind == "" || kind == "dumb" {
		return command.Usagef("the terminal (TERM=%q) cannot move its cursor; --once prints a listing", kind)
	}
	return interact(ctx, m, os.Stdin, os.Stdout, os.Environ())
}

// interact shows m on a terminal until the user quits or ctx is done. It leaves the terminal
// as it was, even after a panic, which it returns as an error.
func interact(ctx context.Context, m *model, in, out *os.File, env []string) error {
	before, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("tcgetattr", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	m.worker = &machine{ctx: ctx}
	const frames = 20 // a second, at most
	p := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(env), tea.WithoutSignalHandler(), tea.WithFPS(frames))
	defer context.AfterFunc(ctx, p.Quit)()
	over := make(chan struct{})
	go func() {
		defer close(over)
		if awaitHangUp(ctx, in) {
			cancel(errGone)
		}
	}()
	defer func() { cancel(nil); <-over }()
	ended := make(chan error, 1)
	go func() {
		_, err := p.Run()
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		select {
		case err = <-ended:
		case <-time.After(time.Second): // nobody reads what is written to the terminal
			err = os.NewSyscallError("tcsetattr", unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, before))
			return errors.Join(errors.New("the terminal accepts no output"), err)
		}
	}
	switch {
	case errors.Is(err, tea.ErrProgramPanic):
		return errors.New("it ended by a mistake of its own, which is described above")
	case errors.Is(context.Cause(ctx), errGone):
		return errGone
	}
	return err
}

var errGone = errors.New("the terminal is gone")

// awaitHangUp waits until the terminal is gone or ctx is done. A process gets SIGHUP only if
// it is its controlling terminal; without that, it would run for ever.
func awaitHangUp(ctx context.Context, terminal *os.File) (gone bool) {
	fds := []unix.PollFd{{Fd: int32(terminal.Fd())}}
	for ctx.Err() == nil {
		if n, err := unix.Poll(fds, 50); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return true
		}
	}
	return false
}

// A machine works on this machine until ctx is done.
type machine struct {
	ctx       context.Context
	collector collector
}

func (w *machine) collect(r request) *sample { return w.collector.collect(r) }
func (w *machine) plan(id identity) *plan    { return planFor(id) }
func (w *machine) remove(p *plan) string     { return p.carryOut(w.ctx) }
func (w *machine) wait(d time.Duration)      { wait(w.ctx, d) }
