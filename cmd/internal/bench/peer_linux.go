package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// A test is one of the two measurements.
type test string

const (
	latency    test = "latency"
	throughput test = "throughput"
)

// A role is what a peer must do.
type role struct {
	way      Way
	test     test
	side     int // 0 asks and floods, 1 answers and counts
	size     int
	duration time.Duration
	cpu      int      // where it should run
	names    []string // of the shared objects
	fd       int      // the first inherited file
}

// Peer is one of the two processes: it does what Run's arguments say, and prints its
// measurement. When ctx ends it removes what the processes share and returns. The
// program must then exit, since a goroutine may still be waiting.
func Peer(ctx context.Context, args []string, w io.Writer) error {
	r, err := parseRole(args)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	if ctx.Err() == nil {
		go func() { done <- r.play(w) }()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(ctx.Err(), kindOf(r.way).orphaned(r.names))
	}
}

// parseRole parses the arguments that start wrote.
func parseRole(args []string) (r role, err error) {
	const fixed = 6
	if len(args) <= fixed {
		return r, errors.New("only the benchmark can start a peer")
	}
	way, known := parseWay(args[0])
	side, errSide := strconv.Atoi(args[2])
	size, errSize := strconv.Atoi(args[3])
	duration, errDuration := time.ParseDuration(args[4])
	cpu, errCPU := strconv.Atoi(args[5])
	fd, errFD := strconv.Atoi(args[len(args)-1])
	if err := errors.Join(errSide, errSize, errDuration, errCPU, errFD); err != nil || !known || size < 1 || size > MaxSize {
		return r, fmt.Errorf("a peer cannot do %q", args)
	}
	return role{way, test(args[1]), side, size, duration, cpu, args[fixed : len(args)-1], fd}, nil
}

func (r role) play(w io.Writer) error {
	l, err := kindOf(r.way).open(r)
	if err != nil {
		return err
	}
	p := party{link: l, msg: make([]byte, r.size), stay: r.stayer()}
	switch {
	case r.test == latency && r.side == 0:
		return tellTimes(w, p, r.duration)
	case r.test == latency:
		return p.answer()
	case r.way == Memcpy:
		return tell(w, l.(*copies).rate(p.msg, r.duration))
	case r.side == 0:
		return p.flood(r.duration)
	default:
		return tellRate(w, p)
	}
}

func tellTimes(w io.Writer, p party, d time.Duration) error {
	h, err := p.ask(d)
	if err != nil {
		return err
	}
	return tell(w, int64(h.quantile(0.5)), int64(h.quantile(0.99)))
}

func tellRate(w io.Writer, p party) error {
	rate, err := p.count()
	if err != nil {
		return err
	}
	return tell(w, rate)
}

func tell(w io.Writer, numbers ...any) error {
	_, err := fmt.Fprintln(w, numbers...)
	return err
}
