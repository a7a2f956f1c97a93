// Package statusline shows on a terminal how far a command has come.
package statusline

import (
	"fmt"
	"io"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A Line is a line that is replaced by the next one. Names in it are escaped. A nil
// Line shows nothing.
type Line struct {
	w        io.Writer
	terminal bool
	shown    bool
}

// New returns a line on w if that is a terminal, nil elsewhere.
func New(w io.Writer) *Line {
	if !command.IsTerminal(w) {
		return nil
	}
	return &Line{w: w, terminal: true}
}

// Always returns a line that is shown elsewhere too: there each replaces none.
func Always(w io.Writer) *Line { return &Line{w: w, terminal: command.IsTerminal(w)} }

// Show shows a text in place of the one before.
func (l *Line) Show(text string) {
	if l == nil {
		return
	}
	text = command.OneLine(text)
	if !l.terminal {
		fmt.Fprintln(l.w, text)
		return
	}
	// A line that wraps could not be replaced.
	if f, ok := l.w.(interface{ Fd() uintptr }); ok {
		if width := term.Width(f.Fd()); width > 1 {
			text, _ = term.Truncate(text, width-1)
		}
	}
	fmt.Fprint(l.w, "\r", text, "\x1b[K")
	l.shown = true
}

// Clear takes the line away.
func (l *Line) Clear() {
	if l != nil && l.shown {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.shown = false
	}
}

// End shows a last text, which stays.
func (l *Line) End(text string) {
	if l == nil {
		return
	}
	l.Show(text)
	if l.terminal {
		fmt.Fprintln(l.w)
		l.shown = false
	}
}

// Bytes returns a function that shows how many bytes of something are done. It shows
// nothing of what takes less than a moment, and clears the line when all are done.
func (l *Line) Bytes() func(what string, done, total int64) {
	if l == nil {
		return nil
	}
	const interval = 200 * time.Millisecond
	last := time.Now()
	return func(what string, done, total int64) {
		switch {
		case done >= total:
			l.Clear()
		case time.Since(last) >= interval:
			last = time.Now()
			l.Show(fmt.Sprintf("%s: %s of %s", what, units.FormatSize(uint64(done)), units.FormatSize(uint64(total))))
		}
	}
}
