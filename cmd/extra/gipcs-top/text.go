//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// text returns the lines that the screen shows instead of the table, in modes other than
// browsing and filtering.
func (m *model) text() []string {
	switch m.mode {
	case detailing:
		return m.detailText()
	case limiting:
		return m.limitText()
	case asking:
		return m.planText()
	default:
		return strings.Split(keysHelp, "\n")
	}
}

const keysHelp = `Up Down PgUp PgDn Home End   move; also k j Ctrl-B Ctrl-F g G
Enter      show everything about the object, as gipcs show does
/          filter while typing; the expressions are those of gipcs ls --where
Esc        back; in the table: show all objects again
< >        sort by the column to the left or right
r          reverse the order
m          follow another measure: bytes, messages, attachments, waiters
l          all limits
x Delete   remove the object: shows what is known about it, and asks
p          pause
? h        this page
q Ctrl-C   quit

OBJECT is what other gipcs commands accept. SIZE is what an object can hold.
BYTES is the memory that it takes, or the bytes in a queue. ATT counts the
attachments of a segment, WAIT the threads that wait on semaphores. Enter
shows the processes that use a POSIX object or wait on a queue. - means that
the object has no such figure, or that you may not read it.
The column with /s is the change per second between the last two samples.
HISTORY shows the same measure: the latest sample is on the right.
After the cursor has moved, rows keep their places for a moment.`

// detailText returns the histories of the selected object, and its description.
func (m *model) detailText() []string {
	t := m.tracks[m.selected]
	if t == nil {
		return []string{"The object is gone."}
	}
	var lines []string
	names := headings()
	const label = 9
	for i := range measure(measures) {
		f := t.figures[i]
		if !f.known {
			continue
		}
		value := countText(f)
		if i == byteMeasure {
			value = sizeText(f)
		}
		lines = append(lines, fit(names[byteColumn+column(i)], label)+fitRight(value, sizeWidth)+
			fitRight(changeText(i, t.rates[i]), label)+"/s  "+m.glyphs.sparkline(t.past(i, historyLength)))
	}
	lines = append(lines, "")
	if m.detail == nil {
		return append(lines, "inspecting the processes ...")
	}
	for line := range strings.Lines(m.detail.text) {
		lines = append(lines, wrap(strings.TrimSuffix(line, "\n"), m.width)...)
	}
	return lines
}

// limitText returns all limits, with bars for those of which the use is known.
func (m *model) limitText() (lines []string) {
	if m.sample == nil {
		return nil
	}
	const bar = 12
	for _, l := range m.sample.limits {
		value := fmt.Sprint(l.Value)
		if l.Unlimited() {
			value = "unlimited"
		}
		use := strings.Repeat(" ", bar+len(" 100%!"))
		if l.Counted && !l.Unlimited() {
			sign := " "
			if l.Share() >= limits.High {
				sign = "!"
			}
			use = m.glyphs.bar(l.Share(), bar) + fmt.Sprintf(" %3.0f%%", 100*l.Share()) + sign
			value = fmt.Sprintf("%d of %d", l.Use, l.Value)
		}
		lines = append(lines, fit(l.Name, 16)+" "+use+" "+fit(value, 24)+" "+l.About)
	}
	return lines
}

func (m *model) planText() (lines []string) {
	if m.plan == nil {
		return nil
	}
	for _, line := range m.plan.lines {
		lines = append(lines, wrap(command.OneLine(line), m.width)...)
	}
	return lines
}

// wrap breaks a line after width columns, at a blank if there is one. The next lines are
// indented. The line must be safe for a terminal.
func wrap(line string, width int) (lines []string) {
	const indent = "    "
	for {
		head, _ := term.Truncate(line, width)
		if len(head) == len(line) {
			return append(lines, line)
		}
		if head == "" { // not even one character fits
			return lines
		}
		if at := strings.LastIndexByte(head, ' '); at > len(indent) {
			head = head[:at]
		}
		lines = append(lines, head)
		line = indent + strings.TrimLeft(line[len(head):], " ")
	}
}

// glyphs are the characters of bars and sparklines.
type glyphs struct {
	levels      []string // from the lowest
	full, empty string   // of bars
	up, down    string
}

// unicodeGlyphs need a terminal that shows UTF-8.
func unicodeGlyphs() glyphs {
	return glyphs{levels: []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, full: "█", empty: "░", up: "▲", down: "▼"}
}

func asciiGlyphs() glyphs {
	return glyphs{levels: []string{"_", ".", "-", "=", "+", "*", "%", "#"}, full: "#", empty: ".", up: "^", down: "v"}
}

// bar returns a bar of width characters. One that is not empty, or not full, does not look so.
func (g glyphs) bar(share float64, width int) string {
	n := int(min(share, 1) * float64(width))
	if n == 0 && share > 0 {
		n = 1
	}
	return strings.Repeat(g.full, n) + strings.Repeat(g.empty, width-n)
}

// sparkline draws values between their minimum and their maximum.
func (g glyphs) sparkline(values []uint64) string {
	if len(values) == 0 {
		return ""
	}
	least, most := slices.Min(values), slices.Max(values)
	var b strings.Builder
	for _, v := range values {
		level := 0
		if most > least {
			level = int(float64(v-least) / float64(most-least) * float64(len(g.levels)-1))
		}
		b.WriteString(g.levels[level])
	}
	return b.String()
}
