package render

import (
	"io"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

// DrawBox draws g exactly like package boxed, but without a library whose
// initialization would slow every program start.
func DrawBox(w io.Writer, g Grid) error {
	widths := make([]int, len(g.Align))
	for _, row := range append([][]string{g.Headings}, g.Rows...) {
		for i, text := range row {
			widths[i] = max(widths[i], shownWidth(text))
		}
	}
	var b []byte
	b = appendRule(b, widths, "┌", "┬", "┐")
	if len(g.Headings) > 0 {
		b = appendBoxRow(b, g, widths, g.Headings)
		if len(g.Rows) > 0 {
			b = appendRule(b, widths, "├", "┼", "┤")
		}
	}
	for _, row := range g.Rows {
		b = appendBoxRow(b, g, widths, row)
	}
	_, err := w.Write(appendRule(b, widths, "└", "┴", "┘"))
	return err
}

func appendRule(dst []byte, widths []int, left, middle, right string) []byte {
	for i, width := range widths {
		if i == 0 {
			dst = append(dst, left...)
		} else {
			dst = append(dst, middle...)
		}
		dst = append(dst, strings.Repeat("─", width+2)...)
	}
	return append(append(dst, right...), '\n')
}

func appendBoxRow(dst []byte, g Grid, widths []int, row []string) []byte {
	for i, text := range row {
		blanks := strings.Repeat(" ", widths[i]-shownWidth(text))
		dst = append(dst, "│ "...)
		if g.Align[i] == Right {
			dst = append(append(dst, blanks...), text...)
		} else {
			dst = append(append(dst, text...), blanks...)
		}
		dst = append(dst, ' ')
	}
	return append(dst, "│\n"...)
}

// shownWidth returns the width of a text without its colour sequences.
func shownWidth(text string) int {
	width := 0
	for {
		head, tail, found := strings.Cut(text, "\x1b[")
		width += term.StringWidth(head)
		if !found {
			return width
		}
		_, text, _ = strings.Cut(tail, "m")
	}
}
