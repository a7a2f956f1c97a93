//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/extra/internal/ipccall"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/sysv"
)

// A summary adds up the calls and prints the sums at the end.
type summary struct {
	options
	*ipccall.Sum
	w    io.Writer
	proc *procfs.FS // nil if there is none
}

func newSummary(o options, w io.Writer) *summary {
	s := &summary{options: o, Sum: ipccall.NewSum(), w: w}
	if proc, err := procfs.Open(procfs.Root); err == nil {
		s.proc = proc
		if !proc.Foreign() {
			s.LastOn = (&asker{proc: proc, same: make(map[int]bool)}).lastOn
		}
	}
	return s
}

func (s *summary) Process(int, int, string) {}

func (s *summary) Exited(pid int) { s.Sum.Exited(pid, time.Now()) }

// An asker asks the kernel for the last process that operated on a semaphore.
type asker struct {
	proc *procfs.FS
	same map[int]bool // by process: it is in our IPC namespace
}

func (a *asker) lastOn(pid int, set ipccall.Object, semaphore uint16) (ipccall.Actor, bool) {
	same, known := a.same[pid]
	if !known {
		theirs, err := a.proc.IPCNamespace(pid)
		ours, err2 := a.proc.OwnIPCNamespace()
		same = err == nil && err2 == nil && theirs == ours
		a.same[pid] = same
	}
	id, err := strconv.Atoi(set.Name)
	if !same || err != nil {
		return ipccall.Actor{}, false
	}
	last, err := sysv.Set(id).PID(int(semaphore))
	if err != nil || last <= 0 || last == pid {
		return ipccall.Actor{}, false
	}
	name, _ := a.proc.Comm(last) // it may have ended
	return ipccall.Actor{PID: last, Program: name}, true
}

func (s *summary) finish() error {
	if s.proc != nil {
		defer s.proc.Close()
	}
	if s.folded {
		var text strings.Builder
		for _, line := range s.Folded() {
			text.WriteString(line + "\n")
		}
		_, err := io.WriteString(s.w, text.String())
		return err
	}
	var rows [][]render.Cell
	for _, r := range s.Rows() {
		rows = append(rows, rowCells(r))
	}
	var o render.Options
	if f, ok := s.w.(*os.File); ok && command.IsTerminal(f) {
		o.Terminal, o.Colour, o.MaxWidth = true, term.ColourEnabled(f.Fd()), term.Width(f.Fd())
	}
	var omitted []string
	o.Omitted = func(headings []string) { omitted = headings }
	if err := render.Write(s.w, s.format, rowColumns(), slices.Values(rows), o); err != nil || len(omitted) == 0 {
		return err
	}
	_, err := fmt.Fprintf(s.w, "(the terminal is too narrow for %s)\n", strings.Join(omitted, ", "))
	return err
}

// rowColumns returns the columns of a summary. Times are in seconds.
func rowColumns() []render.Column {
	const rare, seldom = 1, 2 // the latter are omitted first
	return []render.Column{
		{Name: "object", Heading: "OBJECT"},
		{Name: "key", Heading: "KEY", Rank: rare},
		{Name: "semaphores", Heading: "SEMS"},
		{Name: "calls", Heading: "CALLS", Align: render.Right},
		{Name: "errors", Heading: "ERRORS", Align: render.Right, Rank: rare},
		{Name: "waits", Heading: "WAITS", Align: render.Right, Rank: rare},
		{Name: "waited", Heading: "WAITED", Align: render.Right},
		{Name: "p50", Heading: "P50", Align: render.Right, Rank: seldom},
		{Name: "p99", Heading: "P99", Align: render.Right},
		{Name: "max", Heading: "MAX", Align: render.Right, Rank: rare},
		{Name: "holder_pid", Heading: "HOLDER", Align: render.Right},
		{Name: "holder", Heading: "PROGRAM"},
		{Name: "held", Heading: "HELD", Align: render.Right, Rank: rare},
	}
}

func rowCells(r ipccall.Row) []render.Cell {
	key, semaphores := render.Unknown(), render.Unknown()
	if r.Key.Known {
		key = render.Hex(uint64(r.Key.Value), 8)
	}
	if r.Semaphores != "" {
		semaphores = render.Text(r.Semaphores)
	}
	waits := []render.Cell{render.Unknown(), render.Unknown(), render.Unknown(), render.Unknown()}
	if r.Waits > 0 {
		waits = []render.Cell{seconds(r.Waited), seconds(r.P50), seconds(r.P99), seconds(r.Max)}
	}
	holder := []render.Cell{render.Unknown(), render.Unknown(), render.Unknown()}
	if len(r.Holders) > 0 {
		h := r.Holders[0]
		holder = []render.Cell{render.Int(int64(h.PID)), render.Text(h.Program), seconds(h.Held)}
	}
	cells := []render.Cell{objectCell(r.Object), key, semaphores, render.Int(int64(r.Calls)), render.Int(int64(r.Errors)), render.Int(int64(r.Waits))}
	return slices.Concat(cells, waits, holder)
}

func seconds(d time.Duration) render.Cell { return render.Float(d.Seconds(), 6) }
