//go:build linux

package main

import tea "charm.land/bubbletea/v2"

// press obeys a key.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "ctrl+l":
		return tea.ClearScreen
	}
	if m.tooSmall() { // the user sees neither the objects nor a question
		if msg.String() == "q" {
			return tea.Quit
		}
		return nil
	}
	switch m.mode {
	case filtering:
		return m.pressFiltering(msg)
	case asking:
		return m.pressAsking(msg.String())
	case browsing:
		return m.pressBrowsing(msg.String())
	default:
		return m.pressReading(msg.String())
	}
}

func (m *model) pressBrowsing(key string) tea.Cmd {
	m.message = ""
	if m.move(key) {
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "/":
		m.mode = filtering
		m.filter.reset()
		m.before = m.filter
	case "esc":
		if m.filter.good != nil {
			m.filter.text, m.filter.at = nil, 0
			m.filter.parse()
			return m.refresh()
		}
	case "enter":
		if len(m.rows) > 0 {
			m.mode, m.detail, m.scroll = detailing, nil, 0
			return m.refresh()
		}
	case "<", ",", ">", ".", "f6", "r":
		m.sort(key)
	case "m":
		m.order.measure = (m.order.measure + 1) % measure(measures)
		m.frozen = 0
		m.arrange()
	case "l":
		m.mode, m.scroll = limiting, 0
	case "?", "h", "f1":
		m.mode, m.scroll = helping, 0
	case "p":
		if m.paused = !m.paused; !m.paused {
			return m.refresh()
		}
	case "x", "delete":
		return m.ask()
	}
	return nil
}

// sort changes the order and applies it at once.
func (m *model) sort(key string) {
	const columns = historyColumn
	switch key {
	case "<", ",":
		m.order = m.order.by((m.order.column + columns - 1) % columns)
	case "r":
		m.order.descending = !m.order.descending
	default:
		m.order = m.order.by((m.order.column + 1) % columns)
	}
	m.frozen = 0
	m.arrange()
}

// frozenSamples is for how many samples rows keep their places after the cursor moved, so
// that none moves away from under it.
const frozenSamples = 3

// move moves the cursor. It reports whether the key is for that.
func (m *model) move(key string) bool {
	at := m.cursor
	switch lines := m.bodyLines(); key {
	case "up", "k":
		at--
	case "down", "j":
		at++
	case "pgup", "ctrl+b":
		at -= lines
	case "pgdown", "ctrl+f", "space":
		at += lines
	case "home", "g":
		at = 0
	case "end", "G":
		at = len(m.rows) - 1
	default:
		return false
	}
	m.choose(at)
	m.frozen = frozenSamples
	m.follow()
	return true
}

func (m *model) pressFiltering(msg tea.KeyPressMsg) tea.Cmd {
	before := m.filter.applied
	switch key := msg.String(); {
	case key == "esc":
		m.filter.applied, m.filter.good = m.before.applied, m.before.good
		m.filter.reset()
		m.mode = browsing
	case key == "enter":
		if m.filter.err == nil {
			m.mode = browsing
		}
	case key == "tab":
		m.filter.complete()
	case m.filter.edit(key):
	default:
		m.filter.insert(msg.Text)
	}
	if m.filter.applied == before {
		return nil
	}
	m.frozen = 0
	return m.refresh()
}

// pressReading obeys a key while a text is shown.
func (m *model) pressReading(key string) tea.Cmd {
	page := max(m.bodyLines()-1, 1)
	switch key {
	case "q", "esc", "enter", "left":
		m.mode = browsing
		m.follow()
	case "up", "k":
		m.scroll--
	case "down", "j":
		m.scroll++
	case "pgup", "ctrl+b":
		m.scroll -= page
	case "pgdown", "ctrl+f", "space":
		m.scroll += page
	case "home", "g":
		m.scroll = 0
	case "end", "G":
		m.scroll = len(m.text())
	case "x", "delete":
		if m.mode == detailing {
			return m.ask()
		}
	}
	m.scroll = max(min(m.scroll, len(m.text())-m.bodyLines()), 0)
	return nil
}

// ask begins the removal of the selected object: first with a plan.
func (m *model) ask() tea.Cmd {
	switch {
	case m.readOnly:
		m.message = "gipcs top was started with --read-only"
		return nil
	case m.busy:
		m.message = "another object is being removed"
		return nil
	case m.tracks[m.selected] == nil: // it is gone, or there are no objects
		return nil
	}
	m.mode, m.plan, m.target, m.scroll = asking, nil, m.selected, 0
	id, worker := m.target, m.worker
	return func() tea.Msg { return planMsg{worker.plan(id)} }
}

// pressAsking obeys the answer to the question whether to remove an object. Keys that come
// before the question count for nothing.
func (m *model) pressAsking(key string) tea.Cmd {
	switch {
	case key == "esc" || m.plan != nil && key != "y" && key != "Y" && key != "up" && key != "down":
		m.mode = browsing
		m.message = m.target.String() + " was kept"
		m.follow()
	case m.plan == nil:
	case key == "up":
		m.scroll = max(m.scroll-1, 0)
	case key == "down":
		m.scroll = max(min(m.scroll+1, len(m.text())-m.bodyLines()), 0)
	case m.plan.target == nil:
		m.mode = browsing
		m.follow()
	default:
		m.mode, m.busy = browsing, true
		m.message = "removing " + m.target.String() + " ..."
		p, worker := m.plan, m.worker
		m.follow()
		return func() tea.Msg { return removedMsg(worker.remove(p)) }
	}
	return nil
}
