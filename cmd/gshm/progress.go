package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/units"
)

// A progress counts bytes and, if it is to be seen, tells every second how many.
type progress struct {
	bytes atomic.Int64
	out   io.Writer
	began time.Time
	over  chan struct{} // nil if nothing is shown
	told  sync.WaitGroup
	// On a terminal a line takes the place of the one before.
	before, after string
}

// showProgress begins to show progress if standard error is a terminal, or as the
// flags say.
func showProgress(c *cli.Context) *progress {
	p := &progress{out: c.App.ErrWriter, began: time.Now(), after: "\n"}
	terminal := command.IsTerminal(p.out)
	if c.Bool("quiet") || !terminal && !c.Bool("progress") {
		return p
	}
	if terminal {
		p.before, p.after = "\r\x1b[K", ""
	}
	p.over = make(chan struct{})
	p.told.Go(p.tell)
	return p
}

func (p *progress) tell() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, when := int64(0), p.began
	for {
		select {
		case <-p.over:
			return
		case now := <-tick.C:
			n := p.bytes.Load()
			fmt.Fprint(p.out, p.before, status(n, n-last, now.Sub(when), now.Sub(p.began)), p.after)
			last, when = n, now
		}
	}
}

// finish shows the result: all bytes, and the rate over the whole time.
func (p *progress) finish() {
	if p.over == nil {
		return
	}
	close(p.over)
	p.told.Wait()
	n, took := p.bytes.Load(), time.Since(p.began)
	fmt.Fprint(p.out, p.before, status(n, n, took, took), "\n")
}

// status is one line: how many bytes in all, how many a second of late, how long.
func status(all, lately int64, span, took time.Duration) string {
	rate := uint64(0)
	if span > 0 {
		rate = uint64(float64(lately) / span.Seconds())
	}
	return fmt.Sprintf("%s  %s/s  %v", units.FormatSize(uint64(all)), units.FormatSize(rate), took.Round(100*time.Millisecond))
}

// reader counts what is read from r, writer what is written to w.
func (p *progress) reader(r io.Reader) io.Reader { return counter{p, r, nil} }
func (p *progress) writer(w io.Writer) io.Writer { return counter{p, nil, w} }

type counter struct {
	*progress
	r io.Reader
	w io.Writer
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}
