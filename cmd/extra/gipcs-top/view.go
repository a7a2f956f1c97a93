//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// The least size of a terminal that has room for the table.
const (
	leastWidth  = 60
	leastHeight = 10
)

// Colours only repeat what texts and signs say. Blue and yellow differ for everybody.
func title() lipgloss.Style   { return lipgloss.NewStyle().Bold(true) }
func heading() lipgloss.Style { return lipgloss.NewStyle().Bold(true).Underline(true) }
func chosen() lipgloss.Style  { return lipgloss.NewStyle().Reverse(true) }
func calm() lipgloss.Style    { return lipgloss.NewStyle().Foreground(lipgloss.Blue) }
func warning() lipgloss.Style { return lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Yellow) }

// View draws the screen.
func (m *model) View() tea.View {
	var v tea.View
	v.AltScreen = true
	v.WindowTitle = "gipcs top"
	if m.tooSmall() {
		v.SetContent(fit(fmt.Sprintf("gipcs top needs %d columns and %d lines", leastWidth, leastHeight), m.width))
		return v
	}
	lines := append([]string{title().Render(m.titleLine())}, m.limitLines()...)
	lines = append(lines, m.bodyHeading())
	lines = append(lines, m.body()...)
	for len(lines) < m.height-2 {
		lines = append(lines, "")
	}
	lines = append(lines, m.statusLine(), fit(m.helpLine(), m.width))
	if m.mode == filtering {
		shown, at := m.filterWindow()
		v.Cursor = tea.NewCursor(len(filterPrompt)+at, m.height-2)
		lines[m.height-2] = filterPrompt + shown
	}
	v.SetContent(strings.Join(lines, "\n"))
	return v
}

// tooSmall reports whether the terminal has no room for the table.
func (m *model) tooSmall() bool { return m.width < leastWidth || m.height < leastHeight }

// fit cuts text, or adds blanks, so that it takes width columns.
func fit(text string, width int) string {
	w := term.StringWidth(text)
	if w > width {
		text, w = term.Truncate(text, max(width-1, 0))
		text, w = text+"…", w+1
	}
	return text + strings.Repeat(" ", max(width-w, 0))
}

func fitRight(text string, width int) string {
	if w := term.StringWidth(text); w < width {
		return strings.Repeat(" ", width-w) + text
	}
	return fit(text, width)
}

func (m *model) titleLine() string {
	parts := []string{"gipcs top"}
	if s := m.sample; s == nil {
		parts = append(parts, "reading ...")
	} else {
		count := counted(len(s.rows), "object", "objects")
		if len(m.rows) != len(s.rows) {
			count += fmt.Sprintf(", %d shown", len(m.rows))
		}
		pause := max(m.interval, s.pause)
		if pause > time.Second {
			pause = pause.Round(100 * time.Millisecond)
		}
		parts = append(parts, count, s.taken.Format(time.TimeOnly), "every "+pause.String())
	}
	if m.paused {
		parts = append(parts, "PAUSED")
	}
	if m.readOnly {
		parts = append(parts, "read-only")
	}
	return fit(strings.Join(parts, "   "), m.width)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// limitWidth is the width of a limit with its bar.
const limitWidth = 20

// limitRows is the number of lines for limits.
const limitRows = 2

func (m *model) limitsPerLine() int { return max(m.width/limitWidth, 1) }

// topLimits returns the limits that are used most, as many as have room, in an order that does
// not change.
func (m *model) topLimits() []limits.Limit {
	const roomy = 16
	if m.height < roomy || m.sample == nil {
		return nil
	}
	var list []limits.Limit
	for _, l := range m.sample.limits {
		if l.Counted && !l.Unlimited() {
			list = append(list, l)
		}
	}
	for len(list) > limitRows*m.limitsPerLine() {
		least := 0
		for i := range list {
			if list[i].Share() <= list[least].Share() {
				least = i
			}
		}
		list = slices.Delete(list, least, least+1)
	}
	return list
}

func (m *model) limitLines() (lines []string) {
	for list := range slices.Chunk(m.topLimits(), m.limitsPerLine()) {
		var b strings.Builder
		for _, l := range list {
			b.WriteString(m.limit(l))
		}
		lines = append(lines, b.String())
	}
	return lines
}

// limit returns a limit as text of limitWidth columns: name, bar, percent, and a sign if it
// is nearly reached.
func (m *model) limit(l limits.Limit) string {
	const name, bar = 9, 5
	style, sign := calm(), " "
	if l.Share() >= limits.High {
		style, sign = warning(), "!"
	}
	percent := fmt.Sprintf("%3.0f%%", 100*min(l.Share(), 9))
	return fit(limitName(l), name) + " " + style.Render(m.glyphs.bar(l.Share(), bar)+percent+sign)
}

func limitName(l limits.Limit) string {
	if l.Name == "size" { // of tmpfs
		return "/dev/shm"
	}
	return l.Name
}

// bodyLines returns the number of lines for rows, or for another text.
func (m *model) bodyLines() int {
	const title, heading, status, help = 1, 1, 1, 1
	perLine := m.limitsPerLine()
	limitLines := (len(m.topLimits()) + perLine - 1) / perLine
	return max(m.height-title-heading-status-help-limitLines, 0)
}

func (m *model) bodyHeading() string {
	switch m.mode {
	case detailing:
		return heading().Render(fit(term.Escape(m.selected.String()), m.width))
	case limiting:
		return heading().Render(fit("Limits", m.width))
	case helping:
		return heading().Render(fit("Keys", m.width))
	case asking:
		return heading().Render(fit("Remove "+term.Escape(m.target.String()), m.width))
	default:
		return m.tableHeading()
	}
}

func (m *model) body() []string {
	switch m.mode {
	case browsing, filtering:
		return m.table()
	default:
		text := m.text()
		from := max(min(m.scroll, len(text)-m.bodyLines()), 0)
		text = text[from:min(from+m.bodyLines(), len(text))]
		for i, line := range text {
			text[i] = fit(line, m.width)
		}
		return text
	}
}

// The widths of the columns that do not grow, and the gap between columns.
const (
	gap         = 1
	sizeWidth   = 7
	countWidth  = 5
	changeWidth = 8
)

// widths returns the widths of the columns, which share the width of the terminal.
func (m *model) widths() [historyColumn + 1]int {
	w := [...]int{0, 8, sizeWidth, sizeWidth, countWidth, countWidth, countWidth, changeWidth, 0}
	rest := m.width - gap*len(w)
	for _, n := range w {
		rest -= n
	}
	const least, most = 12, 44
	w[objectColumn] = min(max(rest*2/3, least), most)
	w[historyColumn] = min(max(rest-w[objectColumn], 0), historyLength)
	w[ownerColumn] += min(max(rest-w[objectColumn]-w[historyColumn], 0), 8)
	return w
}

// headings are the names of the columns; those of the measures stand in the change's, too.
func headings() [historyColumn + 1]string {
	return [...]string{"OBJECT", "OWNER", "SIZE", "BYTES", "MSGS", "ATT", "WAIT", "", "HISTORY"}
}

func (m *model) tableHeading() string {
	names, widths := headings(), m.widths()
	names[changeColumn] = names[byteColumn+column(m.order.measure)] + "/s"
	if m.order.descending {
		names[m.order.column] += m.glyphs.down
	} else {
		names[m.order.column] += m.glyphs.up
	}
	return heading().Render(line(names, widths, m.width))
}

// line joins the texts of the columns. Figures are on the right.
func line(texts [historyColumn + 1]string, widths [historyColumn + 1]int, width int) string {
	var b strings.Builder
	for c, text := range texts {
		if column(c) >= sizeColumn && column(c) <= changeColumn {
			b.WriteString(fitRight(text, widths[c]))
		} else {
			b.WriteString(fit(text, widths[c]))
		}
		b.WriteString(strings.Repeat(" ", gap))
	}
	return fit(strings.TrimRight(b.String(), " "), width)
}

func (m *model) table() []string {
	if len(m.rows) == 0 {
		switch {
		case m.sample == nil:
			return nil
		case len(m.sample.rows) == 0:
			return []string{"There are no objects."}
		default:
			return []string{"The filter selects no object."}
		}
	}
	widths := m.widths()
	var lines []string
	for _, t := range m.visible() {
		text := line(m.texts(t, widths[historyColumn]), widths, m.width)
		if t.id == m.selected {
			text = chosen().Render(text)
		}
		lines = append(lines, text)
	}
	return lines
}

// texts returns the texts of an object's columns.
func (m *model) texts(t *track, history int) [historyColumn + 1]string {
	texts := [historyColumn + 1]string{
		objectColumn:  term.Escape(t.id.String()),
		ownerColumn:   term.Escape(t.owner),
		sizeColumn:    sizeText(t.size),
		byteColumn:    sizeText(t.figures[byteMeasure]),
		changeColumn:  changeText(m.order.measure, t.rates[m.order.measure]),
		historyColumn: m.glyphs.sparkline(t.past(m.order.measure, history)),
	}
	for c := messageMeasure; int(c) < measures; c++ {
		texts[byteColumn+column(c)] = countText(t.figures[c])
	}
	return texts
}

func sizeText(f figure) string {
	if !f.known {
		return "-"
	}
	return units.FormatSize(f.n)
}

// countText formats a number in countWidth columns.
func countText(f figure) string {
	const fits = 100_000
	switch {
	case !f.known:
		return "-"
	case f.n < fits:
		return strconv.FormatUint(f.n, 10)
	case f.n < 1000*fits/10:
		return strconv.FormatUint(f.n/1000, 10) + "k"
	default:
		return fmt.Sprintf("%.0e", float64(f.n))
	}
}

func changeText(m measure, r rate) string {
	sign, n := "+", r.perSecond
	if n < 0 {
		sign, n = "-", -n
	}
	const whole = 100
	switch {
	case !r.known:
		return "-"
	case n == 0:
		return "0"
	case m == byteMeasure:
		return sign + units.FormatSize(uint64(n))
	case n < whole:
		return fmt.Sprintf("%s%.1f", sign, n)
	default:
		return fmt.Sprintf("%s%.0f", sign, n)
	}
}

const filterPrompt = "filter: "

// filterWindow returns the part of the filter around the cursor that fits the line, and
// where the cursor is in it.
func (m *model) filterWindow() (text string, at int) {
	width := m.width - len(filterPrompt) - 1
	before, after := term.Escape(string(m.filter.text[:m.filter.at])), term.Escape(string(m.filter.text[m.filter.at:]))
	for runes := []rune(before); term.StringWidth(before) > width; before = string(runes) {
		runes = runes[1:]
	}
	at = term.StringWidth(before)
	after, _ = term.Truncate(after, width-at)
	return before + after, at
}

// statusLine is the line above the help.
func (m *model) statusLine() string {
	switch {
	case m.mode == asking && m.plan == nil:
		return fit("inspecting the processes ...", m.width)
	case m.mode == asking && m.plan.target == nil:
		return warning().Render(fit(command.OneLine(m.plan.why), m.width))
	case m.mode == asking:
		return warning().Render(fit("Remove "+term.Escape(m.target.String())+"? [y/N]", m.width))
	case m.message != "":
		return warning().Render(fit(command.OneLine(m.message), m.width))
	case m.sample != nil && len(m.sample.problems) > 0:
		return fit(command.OneLine(strings.Join(m.sample.problems, "; ")), m.width)
	case m.filter.applied != "":
		return fit(filterPrompt+term.Escape(m.filter.applied), m.width)
	}
	return ""
}

// helpLine is the last line.
func (m *model) helpLine() string {
	switch m.mode {
	case filtering:
		switch {
		case m.filter.names != nil:
			return strings.Join(m.filter.names, " ")
		case m.filter.err != nil:
			return command.OneLine(m.filter.err.Error())
		}
		return `such as kind == "msg" && messages > 10   Tab complete   Enter keep   Esc undo`
	case asking:
		return "y remove it   any other key keep it"
	case detailing:
		return "Esc back   x remove   Up Down scroll"
	case limiting, helping:
		return "Esc back   Up Down scroll"
	}
	return "/ filter  < > sort  r reverse  m measure  Enter show  x remove  l limits  ? keys"
}
