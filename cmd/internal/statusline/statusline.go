// Package statusline shows a command's progress on a terminal.
package statusline

import (
	"fmt"
	"io"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A Line is a line of text that the next one replaces. Control characters are escaped.
// A nil Line shows nothing.
type Line struct {
	w        io.Writer
	terminal bool
	shown    bool
}

// New returns a line on w if w is a terminal, else nil.
func New(w io.Writer) *Line {
	if !command.IsTerminal(w) {
		return nil
	}
	return &Line{w: w, terminal: true}
}

// Always returns a line on any w. If w is not a terminal, texts do not replace each
// other.
func Always(w io.Writer) *Line { return &Line{w: w, terminal: command.IsTerminal(w)} }

// Show replaces the line with text.
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

// Clear removes the line.
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

// Bytes returns a function that shows how many bytes are done. It shows nothing for work
// that ends within a moment, and clears the line at the end.
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
