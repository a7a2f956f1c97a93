package statusline

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A Rate counts bytes and shows every second how many have passed and how fast, or what
// is being waited for.
type Rate struct {
	bytes atomic.Int64
	line  *Line
	over  chan struct{} // nil if nothing is shown
	shown sync.WaitGroup

	mu      sync.Mutex
	waiting string    // what is waited for; empty while bytes flow
	said    bool      // waiting was shown
	began   time.Time // when bytes could first pass
}

// NewRate begins to show a rate on l, which may be nil. The caller must call Finish.
func NewRate(l *Line) *Rate {
	r := &Rate{line: l}
	if l != nil {
		r.over = make(chan struct{})
		r.shown.Go(r.show)
	}
	return r
}

func (r *Rate) show() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, when := int64(0), time.Now()
	for {
		select {
		case <-r.over:
			return
		case now := <-tick.C:
			n := r.bytes.Load()
			if text := r.text(n, n-last, now.Sub(when)); text != "" {
				r.line.Show(text)
			}
			last, when = n, now
		}
	}
}

// text returns the text to show now; it is empty if that is shown already.
func (r *Rate) text(all, lately int64, span time.Duration) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.waiting == "":
		return status(all, lately, span, time.Since(r.began))
	case r.said:
		return ""
	}
	r.said = true
	return r.waiting
}

// Await shows what is being waited for instead of the bytes, until Resume.
func (r *Rate) Await(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = r.said && r.waiting == what
	r.waiting = what
}

// Resume shows the bytes again. The time of the total begins with the first call.
func (r *Rate) Resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = ""
	if r.began.IsZero() {
		r.began = time.Now()
	}
}

// Finish shows the total: all bytes, and the rate over the whole time. If Resume was
// never called it clears the line instead.
func (r *Rate) Finish() {
	if r.over == nil {
		return
	}
	close(r.over)
	r.shown.Wait()
	switch {
	case !r.began.IsZero():
		n, took := r.bytes.Load(), time.Since(r.began)
		r.line.End(status(n, n, took, took))
	case r.said:
		r.line.Clear()
	}
}

// status formats the number of all bytes, the rate of the latest bytes, which took span,
// and the time since the beginning.
func status(all, lately int64, span, took time.Duration) string {
	rate := uint64(0)
	if span > 0 {
		rate = uint64(float64(lately) / span.Seconds())
	}
	return fmt.Sprintf("%s  %s/s  %v", units.FormatSize(uint64(all)), units.FormatSize(rate), took.Round(100*time.Millisecond))
}

// Reader returns a reader that counts what is read from from.
func (r *Rate) Reader(from io.Reader) io.Reader { return counter{rate: r, Reader: from} }

// Writer returns a writer that counts what is written to to.
func (r *Rate) Writer(to io.Writer) io.Writer { return counter{rate: r, Writer: to} }

type counter struct {
	rate *Rate
	io.Reader
	io.Writer
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.rate.bytes.Add(int64(n))
	return n, err
}

func (c counter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.rate.bytes.Add(int64(n))
	return n, err
}
