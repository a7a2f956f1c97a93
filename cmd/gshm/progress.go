package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A progress counts bytes and, if it is to be seen, tells every second how many, or
// once what is waited for.
type progress struct {
	bytes atomic.Int64
	out   io.Writer
	over  chan struct{} // nil if nothing is shown
	told  sync.WaitGroup
	// On a terminal a line takes the place of the one before.
	before, after string

	mu      sync.Mutex
	waiting string    // for what; empty while bytes may pass
	said    bool      // that
	began   time.Time // when bytes could first pass
}

// showProgress begins to show progress if standard error is a terminal, or as the
// flags say.
func showProgress(c *cli.Context) *progress {
	p := &progress{out: c.App.ErrWriter, after: "\n"}
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
	last, when := int64(0), time.Now()
	for {
		select {
		case <-p.over:
			return
		case now := <-tick.C:
			n := p.bytes.Load()
			if line := p.line(n, n-last, now.Sub(when)); line != "" {
				fmt.Fprint(p.out, p.before, line, p.after)
			}
			last, when = n, now
		}
	}
}

// line returns what is to be shown now, empty if that stands there already.
func (p *progress) line(all, lately int64, span time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waiting == "":
		return status(all, lately, span, time.Since(p.began))
	case p.said:
		return ""
	}
	p.said = true
	return p.waiting
}

// await shows what is waited for in place of the bytes, which pass from resume on.
func (p *progress) await(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = p.said && p.waiting == what
	p.waiting = what
}

func (p *progress) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = ""
	if p.began.IsZero() {
		p.began = time.Now()
	}
}

// finish shows the result: all bytes, and the rate over the whole time. If none could
// pass it takes away what was waited for.
func (p *progress) finish() {
	if p.over == nil {
		return
	}
	close(p.over)
	p.told.Wait()
	switch {
	case !p.began.IsZero():
		n, took := p.bytes.Load(), time.Since(p.began)
		fmt.Fprint(p.out, p.before, status(n, n, took, took), "\n")
	case p.said:
		fmt.Fprint(p.out, p.before)
	}
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
