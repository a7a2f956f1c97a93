//go:build linux

package main

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sysvipc/gipc/cmd/extra/internal/ipccall"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// A listing prints each call when it returns, and in lines for people also once it has been
// waiting for a while.
type listing struct {
	options
	over   chan struct{}
	ticker sync.WaitGroup

	mu      sync.Mutex
	w       io.Writer
	buffer  *bufio.Writer // what w is if the trace goes to a file; else nil
	err     error         // the first one of w
	line    []byte
	waiting map[*ipccall.Call]bool // the calls under way; true: shown
}

// showAfter is how long a call waits before it is shown as waiting.
const showAfter = time.Second

func newListing(o options, w io.Writer) *listing {
	l := &listing{options: o, w: w, over: make(chan struct{}), waiting: make(map[*ipccall.Call]bool)}
	if o.output != "" {
		const size = 64 << 10
		l.buffer = bufio.NewWriterSize(w, size)
		l.w = l.buffer
	}
	l.ticker.Go(l.tick)
	return l
}

func (l *listing) Begin(c *ipccall.Call) {
	if c.Waits {
		l.mu.Lock()
		l.waiting[c] = false
		l.mu.Unlock()
	}
}

func (l *listing) End(c *ipccall.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, c)
	if l.format == render.NDJSON {
		l.keep(render.Write(l.w, l.format, callColumns(), slices.Values([][]render.Cell{callCells(c)}), render.Options{}))
		return
	}
	l.begin(c)
	l.line = append(l.line, " = "...)
	l.line = append(l.line, c.ResultText()...)
	l.line = append(l.line, " <"...)
	l.line = strconv.AppendFloat(l.line, c.Duration.Seconds(), 'f', 6, 64)
	l.line = append(l.line, ">\n"...)
	l.print()
}

// begin begins a line.
func (l *listing) begin(c *ipccall.Call) {
	l.line = l.line[:0]
	if l.time {
		l.line = c.Start.AppendFormat(l.line, "15:04:05.000000 ")
	}
	l.line = append(l.line, '[')
	l.line = strconv.AppendInt(l.line, int64(c.PID), 10)
	if c.TID != c.PID {
		l.line = append(l.line, '/')
		l.line = strconv.AppendInt(l.line, int64(c.TID), 10)
	}
	l.line = append(l.line, "] "...)
	l.line = append(l.line, c.Name...)
	l.line = append(l.line, '(')
	for i, arg := range c.Args {
		if i > 0 {
			l.line = append(l.line, ", "...)
		}
		l.line = append(l.line, arg...)
	}
	l.line = append(l.line, ')')
}

func (l *listing) print() {
	_, err := l.w.Write(l.line)
	l.keep(err)
}

// keep keeps the first error. The command runs on without a trace.
func (l *listing) keep(err error) {
	if err != nil && l.err == nil {
		l.err = err
		l.w = io.Discard
	}
}

// tick regularly shows the calls that have been waiting for a while, and writes the buffer.
func (l *listing) tick() {
	tick := time.NewTicker(showAfter / 4)
	defer tick.Stop()
	for {
		select {
		case <-l.over:
			return
		case now := <-tick.C:
			l.mu.Lock()
			if l.format == render.Plain {
				l.showWaiting(now)
			}
			l.flush()
			l.mu.Unlock()
		}
	}
}

func (l *listing) showWaiting(now time.Time) {
	byStart := func(a, b *ipccall.Call) int { return a.Start.Compare(b.Start) }
	for _, c := range slices.SortedFunc(maps.Keys(l.waiting), byStart) {
		if !l.waiting[c] && now.Sub(c.Start) >= showAfter {
			l.waiting[c] = true
			l.begin(c)
			l.line = append(l.line, " ...\n"...)
			l.print()
		}
	}
}

func (l *listing) flush() {
	if l.buffer != nil {
		l.keep(l.buffer.Flush())
	}
}

func (l *listing) Process(pid, parent int, program string) {
	if l.format != render.Plain {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = append(l.line[:0], '[')
	l.line = strconv.AppendInt(l.line, int64(pid), 10)
	l.line = append(l.line, "] is "...)
	l.line = term.AppendEscape(l.line, program)
	l.line = append(l.line, ", a child of "...)
	l.line = strconv.AppendInt(l.line, int64(parent), 10)
	l.line = append(l.line, '\n')
	l.print()
}

func (l *listing) ThreadExited(int) {}

func (l *listing) Exited(int) {}

func (l *listing) finish() error {
	close(l.over)
	l.ticker.Wait()
	l.flush()
	return l.err
}

// callColumns returns the fields of a call in NDJSON.
func callColumns() (columns []render.Column) {
	for _, name := range []string{"time", "pid", "tid", "program", "call", "args", "object", "key", "operations", "result", "error", "duration"} {
		columns = append(columns, render.Column{Name: name})
	}
	return columns
}

func callCells(c *ipccall.Call) []render.Cell {
	key, operations, result, failed := render.Unknown(), render.Unknown(), render.Unknown(), render.Unknown()
	if c.Key.Known {
		key = render.Hex(uint64(c.Key.Value), 8)
	}
	if len(c.Ops) > 0 {
		rows := make([][]render.Cell, len(c.Ops))
		for i, op := range c.Ops {
			rows[i] = []render.Cell{render.Uint(uint64(op.Num)), render.Int(int64(op.Op)), render.List(flagCells(op)...)}
		}
		operations = render.Objects([]render.Column{{Name: "semaphore"}, {Name: "change"}, {Name: "flags"}}, rows)
	}
	if c.Done {
		result = render.Int(c.Result)
	}
	if c.Errno != 0 {
		failed = render.Text(c.ErrnoName())
	}
	args := make([]render.Cell, len(c.Args))
	for i, arg := range c.Args {
		args[i] = render.Text(arg)
	}
	return []render.Cell{
		render.Time(c.Start), render.Int(int64(c.PID)), render.Int(int64(c.TID)), render.Text(c.Program), render.Text(c.Name), render.List(args...),
		objectCell(c.Object), key, operations, result, failed, render.Float(c.Duration.Seconds(), 6),
	}
}

func flagCells(op ipccall.Sembuf) (cells []render.Cell) {
	for _, name := range op.FlagNames() {
		cells = append(cells, render.Text(name))
	}
	return cells
}

func objectCell(o ipccall.Object) render.Cell {
	if o == (ipccall.Object{}) {
		return render.Unknown()
	}
	return render.Text(o.String())
}
