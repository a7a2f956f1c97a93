//go:build linux

package main

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A worker does what the model asks for. Its methods block.
type worker interface {
	collect(request) *sample // is not called again before it returns
	plan(identity) *plan
	remove(*plan) string
	wait(time.Duration)
}

// A mode is what the screen shows and the keys mean.
type mode int

const (
	browsing  mode = iota
	filtering      // the filter is edited
	detailing      // the object is described
	limiting       // all limits are shown
	helping
	asking // whether to remove the object
)

// A model is the state of the program. It changes only through messages, and View reads
// nothing else.
type model struct {
	worker   worker
	readOnly bool
	interval time.Duration
	glyphs   glyphs

	width, height int
	mode          mode
	filter        filter
	before        filter // what it was before the user began to edit it
	order         order  // order.measure is the one whose history is shown
	paused        bool
	message       string // about the last removal

	sample *sample // the latest; nil before the first
	turn   int     // its number
	tracks map[identity]*track
	rows   []*track // that are shown, in their order

	selected identity // zero if there are no rows
	cursor   int      // its index in rows
	top      int      // the first row on the screen
	frozen   int      // for how many samples the order stays

	detail *description // of the selected object, nil while it is not known
	scroll int          // lines of the detail, or of another text
	plan   *plan        // in mode asking, nil while it is being made
	target identity     // of the plan
	busy   bool         // an object is being removed

	collecting bool
	stale      bool // another collection is wanted at once
	alarm      int  // number of the latest alarm
}

// Messages.
type (
	sampleMsg  struct{ *sample }
	alarmMsg   int // the alarm with this number: time to collect
	planMsg    struct{ *plan }
	removedMsg string
)

// Init starts the first collection.
func (m *model) Init() tea.Cmd { return m.refresh() }

// Update returns the state after a message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.follow()
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	case tea.PasteMsg:
		if m.mode == filtering {
			m.filter.insert(msg.Content)
			cmd = m.refresh()
		}
	case sampleMsg:
		cmd = m.take(msg.sample)
	case alarmMsg:
		if int(msg) == m.alarm && !m.paused {
			cmd = m.refresh()
		}
	case planMsg:
		if m.mode == asking && msg.id == m.target {
			m.plan = msg.plan
		}
	case removedMsg:
		m.busy, m.message = false, string(msg)
		cmd = m.refresh()
	}
	return m, cmd
}

// refresh starts a collection, or has another one follow the one that is running.
func (m *model) refresh() tea.Cmd {
	if m.collecting {
		m.stale = true
		return nil
	}
	m.collecting, m.stale = true, false
	m.alarm++
	r := request{filter: m.filter.good, visible: make(map[int]bool)}
	for _, t := range m.visible() {
		if t.object.Set != nil {
			r.visible[t.id.ID] = true
		}
	}
	if m.mode == detailing {
		id := m.selected
		r.detail = &id
	}
	worker := m.worker
	return func() tea.Msg { return sampleMsg{worker.collect(r)} }
}

// take takes a sample, and sets an alarm for the next one.
func (m *model) take(s *sample) tea.Cmd {
	m.collecting = false
	var elapsed time.Duration
	if m.sample != nil {
		elapsed = s.taken.Sub(m.sample.taken)
	}
	m.sample = s
	m.turn++
	for _, r := range s.rows {
		t := m.tracks[r.id]
		if t == nil {
			t = &track{row: r, since: m.turn}
			m.tracks[r.id] = t
		}
		t.update(r, m.turn, elapsed)
	}
	for id, t := range m.tracks {
		if t.seen != m.turn {
			delete(m.tracks, id)
		}
	}
	if s.detail != nil && s.detail.id == m.selected {
		m.detail = s.detail
	}
	m.arrange()
	if m.stale {
		return m.refresh()
	}
	m.alarm++
	number, pause, worker := m.alarm, max(m.interval, s.pause), m.worker
	return func() tea.Msg {
		worker.wait(pause)
		return alarmMsg(number)
	}
}

// arrange makes the rows of the tracks. While the order is frozen the rows keep their
// places, and new ones come last.
func (m *model) arrange() {
	if m.frozen > 0 {
		m.frozen--
		m.keepOrder()
	} else {
		m.rows = m.rows[:0]
		for _, t := range m.tracks {
			if t.shown {
				m.rows = append(m.rows, t)
			}
		}
		slices.SortFunc(m.rows, m.order.compare)
	}
	m.follow()
}

func (m *model) keepOrder() {
	there := make(map[identity]bool, len(m.rows))
	m.rows = slices.DeleteFunc(m.rows, func(t *track) bool {
		there[t.id] = true
		return m.tracks[t.id] != t || !t.shown
	})
	old := len(m.rows)
	for id, t := range m.tracks {
		if t.shown && !there[id] {
			m.rows = append(m.rows, t)
		}
	}
	slices.SortFunc(m.rows[old:], m.order.compare)
}

// follow finds the selected object among the rows, and moves the window so that it is on the
// screen. If the object is gone, the one in its place is selected, except while a mode is
// about that object.
func (m *model) follow() {
	at := slices.IndexFunc(m.rows, func(t *track) bool { return t.id == m.selected })
	switch {
	case at >= 0:
		m.cursor = at
	case m.mode == detailing || m.mode == asking:
	default:
		m.choose(m.cursor)
	}
	lines := m.bodyLines()
	m.top = min(m.top, m.cursor, max(len(m.rows)-lines, 0))
	m.top = max(m.top, m.cursor-lines+1, 0)
}

// choose selects the row at an index, or the nearest one.
func (m *model) choose(at int) {
	if m.cursor = max(min(at, len(m.rows)-1), 0); len(m.rows) == 0 {
		m.selected = identity{}
		return
	}
	m.selected = m.rows[m.cursor].id
}

// visible returns the rows on the screen.
func (m *model) visible() []*track {
	top := min(m.top, len(m.rows))
	return m.rows[top:min(top+m.bodyLines(), len(m.rows))]
}
