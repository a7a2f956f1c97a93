//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/bench"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// The bounds of --duration.
const (
	minBenchDuration = time.Millisecond
	maxBenchDuration = time.Minute
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "measure each way of passing messages between two processes here",
		Description: "Prints the round trip of a message and how many pass when one side sends as\n" +
			"fast as it can, by the size of the messages, with both processes on one core\n" +
			"and on two. The ways: sysv-sem and posix-sem (slots in shared memory counted\n" +
			"by semaphores), ring and stream (of shmring), pipe, unix (a socket), sysv-msg\n" +
			"and posix-msg (message queues); memcpy is the limit of them all.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "sizes", Value: "64,1KiB,8KiB,64KiB", Usage: "`SIZES` of messages"},
			&cli.StringFlag{Name: "only", Usage: "measure only these `WAYS`", DefaultText: "all"},
			&cli.StringFlag{Name: "duration", Value: "100ms", Usage: "make each measurement for `DURATION`"},
		}, command.FormatFlags("table")...),
		Action:      benchmark,
		Subcommands: []*cli.Command{{Name: "peer", Hidden: true, Action: benchPeer}},
	}
}

func benchmark(c *cli.Context) error {
	format, err := command.FormatOf(c)
	if err != nil {
		return err
	}
	config, err := benchConfig(c)
	if err != nil {
		return err
	}
	cpus, err := bench.CPUs()
	if err != nil {
		return err
	}
	if cpus == 1 {
		fmt.Fprintln(c.App.ErrWriter, "gshm: only one processor may run this: nothing is measured across cores")
	}
	ctx, stop := command.Interruptible(c.Context, syscall.SIGPIPE)
	defer stop()
	tied, err := newLifeline()
	if err != nil {
		return err
	}
	defer tied.close()
	config.Peer = func(ctx context.Context, args ...string) *exec.Cmd {
		return tied.command(ctx, append([]string{"bench", "peer"}, args...)...)
	}
	return writeBench(ctx, c, format, config)
}

// benchConfig returns the configuration that the flags specify.
func benchConfig(c *cli.Context) (config bench.Config, err error) {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return config, err
	}
	config.Ways = bench.Ways()
	if c.IsSet("only") {
		if config.Ways, err = bench.ParseWays(c.String("only")); err != nil {
			return config, command.Usagef("--only: %w", err)
		}
	}
	for text := range strings.SplitSeq(c.String("sizes"), ",") {
		size, err := units.ParseSize(text)
		if err == nil && (size < 1 || size > bench.MaxSize) {
			err = fmt.Errorf("a message of %s is not between 1 byte and %s", text, units.FormatSize(bench.MaxSize))
		}
		if err != nil {
			return config, command.Usagef("--sizes: %w", err)
		}
		config.Sizes = append(config.Sizes, int(size))
	}
	config.Duration, err = units.ParseDuration(c.String("duration"))
	if err == nil && (config.Duration < minBenchDuration || config.Duration > maxBenchDuration) {
		err = fmt.Errorf("%s is not between %v and %v", c.String("duration"), minBenchDuration, maxBenchDuration)
	}
	if err != nil {
		return config, command.Usagef("--duration: %w", err)
	}
	return config, nil
}

// writeBench measures and prints. It reports a measurement that failed, shows it as
// unknown in the output, and goes on.
func writeBench(ctx context.Context, c *cli.Context, format render.Format, config bench.Config) error {
	line := statusline.New(c.App.ErrWriter)
	if line != nil {
		config.Begin = func(r bench.Result) {
			line.Show(fmt.Sprintf("measuring %s, %d bytes, %s", r.Way, r.Size, placeOf(r)))
		}
	}
	failed := false
	rows := benchRows(bench.Run(ctx, config), func(r bench.Result, err error) {
		line.Clear()
		command.Report(c.App.ErrWriter, c.App.Name, fmt.Errorf("%s with messages of %d bytes: %s", r.Way, r.Size, explain.Error(err)))
		failed = true
	}, line.Clear)
	if err := command.WriteRows(c, format, benchColumns(), rows, render.Options{}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted; what is missing was not measured")
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}

func placeOf(r bench.Result) string {
	if r.Cores == bench.Cross {
		return "across cores"
	}
	return "on one core"
}

func benchColumns() []render.Column {
	return []render.Column{
		{Name: "way", Heading: "WAY"},
		{Name: "cores", Heading: "CORES"},
		{Name: "size", Heading: "SIZE", Align: render.Right},
		{Name: "round_trip_us", Heading: "ROUND TRIP µs", Align: render.Right},
		{Name: "p99_us", Heading: "P99 µs", Align: render.Right},
		{Name: "messages_per_s", Heading: "MESSAGES/s", Align: render.Right},
		{Name: "mb_per_s", Heading: "MB/s", Align: render.Right},
	}
}

// benchRows converts results to rows as they arrive. It calls done at the end.
func benchRows(results iter.Seq2[bench.Result, error], report func(bench.Result, error), done func()) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		defer done()
		for r, err := range results {
			if err != nil && !errors.Is(err, bench.ErrTooLarge) {
				report(r, err)
			}
			if !yield(benchRow(r)) {
				return
			}
		}
	}
}

func benchRow(r bench.Result) []render.Cell {
	row := []render.Cell{
		render.Text(string(r.Way)), render.Unknown(), render.Size(uint64(r.Size)),
		render.Unknown(), render.Unknown(), render.Unknown(), render.Unknown(),
	}
	if r.Cores != bench.Alone {
		row[1] = render.Text(string(r.Cores))
	}
	if r.RoundTrip > 0 {
		row[3], row[4] = microseconds(r.RoundTrip), microseconds(r.P99)
	}
	if r.Rate > 0 {
		row[5], row[6] = render.Float(r.Rate, 0), render.Float(r.Rate*float64(r.Size)/1e6, 1)
	}
	return row
}

func microseconds(d time.Duration) render.Cell {
	return render.Float(float64(d)/float64(time.Microsecond), 2)
}

// benchPeer runs one of the two processes of a measurement.
func benchPeer(c *cli.Context) error {
	if os.Getenv(lifelineEnv) == "" {
		return command.Usagef("it is gshm bench that starts this")
	}
	ctx, cancel := withParent(c.Context)
	defer cancel()
	return bench.Peer(ctx, c.Args().Slice(), c.App.Writer)
}
