package removallog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/journal"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A journalSink is a log in the journal of systemd. A line has the same fields as in a
// file, but their names are in capitals after GIPC_, and lists are JSON.
type journalSink struct{ *journal.Journal }

// OpenJournal opens the journal of systemd as a log.
func OpenJournal(why Why) (*Log, error) {
	j, err := journal.Open(journal.Socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return &Log{sink: journalSink{j}, why: why, names: account.New()}, nil
}

// Priorities of syslog(3).
const (
	warning = "4"
	notice  = "5"
)

func (j journalSink) put(columns []render.Column, cells []render.Cell) error {
	text, err := line(columns, cells)
	if err != nil {
		return err
	}
	values := make(map[string]json.RawMessage)
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	entry := []journal.Field{{Name: "SYSLOG_IDENTIFIER", Value: "gipcs"}}
	for _, c := range columns {
		if value := journalValue(values[c.Name]); value != "" {
			entry = append(entry, journal.Field{Name: "GIPC_" + strings.ToUpper(c.Name), Value: value})
		}
	}
	return j.Send(append(entry, summary(values)...))
}

func (j journalSink) close() error { return j.Close() }

// journalValue returns a JSON value as text, "" for null.
func journalValue(raw json.RawMessage) string {
	var text string
	switch {
	case bytes.Equal(raw, []byte("null")):
		return ""
	case json.Unmarshal(raw, &text) == nil:
		return text
	default:
		return string(raw)
	}
}

// summary returns the line that people read, and its priority.
func summary(values map[string]json.RawMessage) []journal.Field {
	text := func(name string) string { return journalValue(values[name]) }
	object := text("kind") + ":" + text("id")
	if name := text("name"); name != "" {
		object = text("kind") + ":" + name
	}
	message, priority := fmt.Sprintf("%s %s of %s", text("event"), object, text("owner")), notice
	if rule := text("rule"); rule != "" {
		message += fmt.Sprintf(" (rule %s)", rule)
	}
	if reason := text("error"); reason != "" {
		message, priority = message+": "+reason, warning
	}
	return []journal.Field{{Name: "MESSAGE", Value: message}, {Name: "PRIORITY", Value: priority}}
}
