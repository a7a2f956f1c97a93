//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/demo"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

func demoCommand() *cli.Command {
	halves := []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "`KEY` of the segment", DefaultText: demo.DefaultKey.String() + ", classic 1234"},
		&cli.StringFlag{Name: "sem-key", Usage: "`KEY` of the set", DefaultText: demo.DefaultSemKey.String() + ", classic 6666"},
		&cli.StringFlag{Name: "size", Value: "4096", Usage: "`SIZE` of a new segment"},
		&cli.BoolFlag{Name: "classic", Usage: "use the textbooks' protocol, which may overwrite lines", DisableDefaultText: true},
	}
	return &cli.Command{
		Name:  "demo",
		Usage: "watch a writer and a reader exchange text through a segment",
		Description: "Without a further word both run as processes of their own, and everything is\n" +
			"removed at the end. \"demo writer\" and \"demo reader\" are the halves, for two\n" +
			"terminals: type lines; a line \"end\" ends its writer, and the reader.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "pause", Value: "300ms", Usage: "wait `DURATION` between the lines"},
		}, halves...),
		Action: demoBoth,
		Subcommands: []*cli.Command{
			{Name: "writer", Usage: "pass lines from standard input", Flags: halves, Action: demoWriter},
			{Name: "reader", Usage: "print lines as they come", Flags: halves, Action: demoReader},
		},
	}
}

// demoBoth runs the halves as child processes.
func demoBoth(c *cli.Context) error {
	pause, err := units.ParseDuration(c.String("pause"))
	if err != nil {
		return command.Usagef("--pause: %w", err)
	}
	key, semKey := demo.ClassicKey, demo.ClassicSemKey
	if !c.Bool("classic") {
		key, semKey = demo.FreeKeys()
	}
	config, err := demoConfig(c, key, semKey)
	if err != nil {
		return err
	}
	ctx, stop := demoContext(c.Context)
	defer stop()
	tied, err := newLifeline()
	if err != nil {
		return err
	}
	defer tied.close()
	both := &demo.Both{Config: config, Classic: c.Bool("classic"), Pause: pause, Out: c.App.Writer}
	both.Half = func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := tied.command(ctx, append([]string{"demo"}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd
	}
	return both.Run(ctx)
}

// demoConfig returns the configuration that the flags specify, with the given keys as
// defaults.
func demoConfig(c *cli.Context, key, semKey sysv.Key) (demo.Config, error) {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return demo.Config{}, err
	}
	config := demo.Config{Key: key, SemKey: semKey}
	for _, k := range []struct {
		name string
		key  *sysv.Key
	}{{"key", &config.Key}, {"sem-key", &config.SemKey}} {
		if !c.IsSet(k.name) {
			continue
		}
		var err error
		if *k.key, err = sysv.ParseKey(c.String(k.name)); err == nil && *k.key == sysv.Private {
			err = sysv.ErrPrivateKey
		}
		if err != nil {
			return demo.Config{}, command.Usagef("--%s: %w", k.name, err)
		}
	}
	var err error
	config.Size, err = command.SizeFlag(c, "size")
	if err == nil && !c.Bool("classic") && config.Size < demo.MinSize {
		err = command.Usagef("--size: the demo needs a segment of %d bytes at least", demo.MinSize)
	}
	return config, err
}

// halfConfig is demoConfig for one half, which finds the other half by well-known keys.
func halfConfig(c *cli.Context) (demo.Config, error) {
	if c.Bool("classic") {
		return demoConfig(c, demo.ClassicKey, demo.ClassicSemKey)
	}
	return demoConfig(c, demo.DefaultKey, demo.DefaultSemKey)
}

func demoWriter(c *cli.Context) error {
	config, err := halfConfig(c)
	if err != nil {
		return err
	}
	ctx, stop := demoContext(c.Context)
	defer stop()
	if c.Bool("classic") {
		return classicWriter(ctx, c, config)
	}
	session, err := demo.Join(ctx, config)
	if err != nil {
		return demo.EndOf(ctx, err)
	}
	err = passLines(ctx, c, session.Writer(os.Getpid()))
	return errors.Join(demo.EndOf(ctx, err), session.Leave())
}

// demoContext returns a context that is done when the user interrupts, the output pipe is
// broken, or the parent is gone. A process killed by SIGPIPE could not remove its objects.
func demoContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := command.Interruptible(parent, syscall.SIGPIPE)
	ctx, cancel := withParent(ctx)
	return ctx, func() { cancel(); stop() }
}

func passLines(ctx context.Context, c *cli.Context, w *demo.Writer) error {
	lines := input(ctx, c)
	for lines.next() {
		if err := w.Write(ctx, lines.line); err != nil {
			return unread(c, w, err)
		}
		if string(lines.line) == demo.End {
			break
		}
		lonely(c, w)
	}
	if lines.err != nil {
		return lines.err
	}
	if ctx.Err() == nil {
		lonely(c, w)
	}
	if err := w.Flush(ctx); err != nil {
		return unread(c, w, err)
	}
	return nil
}

// lonely tells the user that a line waits for a reader.
func lonely(c *cli.Context, w *demo.Writer) {
	if w.Stuck() {
		fmt.Fprintln(c.App.ErrWriter, "(no reader yet; the line waits for one)")
	}
}

// unread tells the user that the last line was not read.
func unread(c *cli.Context, w *demo.Writer, err error) error {
	if w.Stuck() {
		fmt.Fprintln(c.App.ErrWriter, "(interrupted; the last line was not read)")
	}
	return err
}

func demoReader(c *cli.Context) error {
	config, err := halfConfig(c)
	if err != nil {
		return err
	}
	ctx, stop := demoContext(c.Context)
	defer stop()
	if c.Bool("classic") {
		return classicReader(ctx, c, config)
	}
	session, err := demo.Join(ctx, config)
	if err != nil {
		return demo.EndOf(ctx, err)
	}
	reader, err := session.Reader()
	if err == nil {
		err = printLines(ctx, c, reader)
	}
	return errors.Join(demo.EndOf(ctx, err), session.Leave())
}

func printLines(ctx context.Context, c *cli.Context, r *demo.Reader) error {
	quiet := sayWhy(c)
	defer quiet()
	for {
		line, err := r.Read(ctx)
		quiet()
		if err != nil {
			return err
		}
		if err := printLine(c, line.Text); err != nil {
			return err
		}
		if string(line.Text) == demo.End {
			return r.Done()
		}
	}
}

// sayWhy tells a user at a terminal what the reader waits for, unless quiet is called
// within a second.
func sayWhy(c *cli.Context) (quiet func()) {
	if !command.IsTerminal(c.App.ErrWriter) {
		return func() {}
	}
	timer := time.AfterFunc(time.Second, func() { fmt.Fprintln(c.App.ErrWriter, "(waiting for lines of a writer)") })
	return func() { timer.Stop() }
}

func printLine(c *cli.Context, text []byte) error {
	_, err := fmt.Fprintf(c.App.Writer, "You wrote: %s\n", command.OneLine(string(text)))
	return err
}

func classicWriter(ctx context.Context, c *cli.Context, config demo.Config) error {
	pair, err := demo.OpenClassic(config, false)
	if err != nil {
		return err
	}
	if err := printAttached(c, pair); err != nil {
		return errors.Join(err, pair.Close(false))
	}
	lines := input(ctx, c)
	for lines.next() {
		if err := pair.Write(lines.line); err != nil {
			return errors.Join(err, pair.Close(false))
		}
		if demo.Ends(lines.line) {
			return pair.Close(false)
		}
	}
	if ctx.Err() != nil {
		return pair.Interrupted()
	}
	return errors.Join(lines.err, pair.Close(false))
}

func classicReader(ctx context.Context, c *cli.Context, config demo.Config) error {
	pair, err := demo.OpenClassic(config, true)
	if err != nil {
		return err
	}
	if err := printAttached(c, pair); err != nil {
		return errors.Join(err, pair.Close(false))
	}
	for {
		line, err := pair.Read(ctx)
		switch {
		case ctx.Err() != nil && err != nil:
			return pair.Interrupted()
		case err != nil:
			return errors.Join(err, pair.Close(false))
		}
		if err := printLine(c, line); err != nil {
			return errors.Join(err, pair.Close(false))
		}
		if demo.Ends(line) {
			return pair.Close(true)
		}
	}
}

// printAttached prints the line that both programs of the textbook print first. Here the
// semaphore is ready by then.
func printAttached(c *cli.Context, pair *demo.Classic) error {
	_, err := fmt.Fprintf(c.App.Writer, "Memory attached at %#x\n", pair.Addr())
	return err
}

// An inputReader returns the lines of standard input until its end or until ctx is done.
type inputReader struct {
	ctx    context.Context
	prompt func()
	lines  <-chan []byte
	errs   <-chan error
	line   []byte
	err    error
}

func input(ctx context.Context, c *cli.Context) *inputReader {
	lines, errs := make(chan []byte), make(chan error, 1)
	// A read from a terminal cannot be interrupted, so this goroutine may block until the
	// process ends.
	go func() {
		defer close(lines)
		errs <- readLines(os.Stdin, func(line []byte) bool {
			select {
			case lines <- line:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	prompt := func() {}
	if command.IsTerminal(os.Stdin) {
		prompt = func() { fmt.Fprint(c.App.Writer, "Enter some text: ") }
	}
	return &inputReader{ctx: ctx, prompt: prompt, lines: lines, errs: errs}
}

// readLines calls yield with every line, of any length, without its newline.
func readLines(r io.Reader, yield func([]byte) bool) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 && !yield(bytes.TrimSuffix(line, []byte{'\n'})) {
			return nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// next prints the prompt and waits for the next line.
func (r *inputReader) next() bool {
	r.prompt()
	select {
	case line, ok := <-r.lines:
		if !ok {
			r.err = <-r.errs
		}
		r.line = line
		return ok
	case <-r.ctx.Done():
		return false
	}
}
