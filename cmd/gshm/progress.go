//go:build linux

package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/statusline"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A progress counts bytes and, if it is to be seen, tells every second how many, or
// once what is waited for.
type progress struct {
	bytes atomic.Int64
	line  *statusline.Line
	over  chan struct{} // nil if nothing is shown
	told  sync.WaitGroup

	mu      sync.Mutex
	waiting string    // for what; empty while bytes may pass
	said    bool      // that
	began   time.Time // when bytes could first pass
}

// showProgress begins to show progress if standard error is a terminal, or as the
// flags say.
func showProgress(c *cli.Context) *progress {
	p := &progress{line: statusline.New(c.App.ErrWriter)}
	if c.Bool("progress") {
		p.line = statusline.Always(c.App.ErrWriter)
	}
	if c.Bool("quiet") || p.line == nil {
		return p
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
			if text := p.text(n, n-last, now.Sub(when)); text != "" {
				p.line.Show(text)
			}
			last, when = n, now
		}
	}
}

// text returns what is to be shown now, empty if that stands there already.
func (p *progress) text(all, lately int64, span time.Duration) string {
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
		p.line.End(status(n, n, took, took))
	case p.said:
		p.line.Clear()
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
