package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// grace is how long a measurement may take beyond its duration.
const grace = 30 * time.Second

// Run makes the measurements of c one after the other. An incomplete Result comes with an
// error, which is ErrTooLarge if the way cannot pass messages of that size; Run then
// continues with the next. It stops early when ctx ends. It leaves nothing behind: it
// removes shared objects after each measurement, and the peers do if this process is
// killed.
func Run(ctx context.Context, c Config) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		cpus, err := chooseCPUs()
		if err != nil {
			yield(Result{}, err)
			return
		}
		for _, r := range c.results(cpus.places()) {
			if c.Begin != nil {
				c.Begin(r)
			}
			err := c.measure(ctx, cpus, &r)
			if ctx.Err() != nil || !yield(r, err) {
				return
			}
		}
	}
}

// measure fills r.
func (c Config) measure(ctx context.Context, cpus cpuChoice, r *Result) error {
	numbers, err := c.once(ctx, cpus, *r, latency)
	if err == nil {
		err = scan(numbers, &r.RoundTrip, &r.P99)
	}
	if err != nil {
		return err
	}
	numbers, err = c.once(ctx, cpus, *r, throughput)
	if err == nil {
		err = scan(numbers, &r.Rate)
	}
	return err
}

// scan parses what a process printed.
func scan(line string, numbers ...any) error {
	if _, err := fmt.Sscan(line, numbers...); err != nil {
		return fmt.Errorf("a process printed %q: %w", line, err)
	}
	return nil
}

// once makes one measurement and returns what the processes printed.
func (c Config) once(ctx context.Context, cpus cpuChoice, r Result, t test) (printed string, err error) {
	k := kindOf(r.Way)
	shared, err := k.create(r.Size)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, shared.remove()) }()
	ctx, cancel := context.WithTimeoutCause(ctx, c.Duration+c.Duration/warmUp+grace, errors.New("the processes hang"))
	defer cancel()
	sides := 2
	if r.Cores == Alone {
		sides = 1
	}
	var running []*process
	for side := range sides {
		cpu, may := cpus.of(r.Cores, side, k.spins)
		p, startErr := c.start(ctx, may, role{way: r.Way, test: t, side: side, size: r.Size, duration: c.Duration, cpu: cpu}, shared)
		if err = startErr; err != nil {
			cancel()
			break
		}
		running = append(running, p)
	}
	return finish(ctx, cancel, running, err)
}

// A process is one of the two peers.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan error
}

func (c Config) start(ctx context.Context, cpus []int, r role, shared *objects) (*process, error) {
	args := []string{
		string(r.way), string(r.test), strconv.Itoa(r.side), strconv.Itoa(r.size), r.duration.String(), strconv.Itoa(r.cpu),
	}
	p := &process{cmd: c.Peer(ctx, append(args, shared.names...)...), ended: make(chan error, 1)}
	p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, shared.files...)
	p.cmd.Args = append(p.cmd.Args, strconv.Itoa(firstFile+len(p.cmd.ExtraFiles)-len(shared.files)))
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := startOn(p.cmd, cpus); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// firstFile is the descriptor of the first of exec.Cmd's ExtraFiles.
const firstFile = 3

// finish waits for the processes, and kills the others if one fails.
func finish(ctx context.Context, cancel context.CancelFunc, running []*process, err error) (printed string, _ error) {
	for range running {
		var p *process
		var ended error
		if p, ended = nextOf(running); ended != nil && err == nil {
			err = because(ctx, p, ended)
			cancel()
		}
		printed += p.stdout.String()
	}
	return printed, err
}

// nextOf waits until any of the processes ends.
func nextOf(running []*process) (*process, error) {
	if len(running) == 1 {
		return running[0], <-running[0].ended
	}
	select {
	case err := <-running[0].ended:
		return running[0], err
	case err := <-running[1].ended:
		return running[1], err
	}
}

// because returns why a process failed, in its own words if it printed any.
func because(ctx context.Context, p *process, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, words, found := strings.Cut(p.stderr.String(), ": "); found { // after the program's name
		return errors.New(strings.TrimSpace(words))
	}
	return fmt.Errorf("process %d of %s: %w", p.cmd.Process.Pid, os.Args[0], err)
}
