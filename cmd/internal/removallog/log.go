// Package removallog keeps a log of removals: when, by whom, why, and what each object
// was.
package removallog

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// ErrWrite is wrapped by every error of opening or writing a log. A caller should not
// remove what it cannot log.
var ErrWrite = errors.New("the log cannot be written")

// A Log is a file to which a line of JSON is appended for each removal: when, by whom,
// why, and what the object was. The line is written before the removal; if the removal
// then fails, a second line says so. A process killed while it writes leaves an
// incomplete line, and has not removed that object. OpenJournal logs to the journal of
// systemd instead.
type Log struct {
	sink  sink
	why   Why
	names *account.Directory
	last  *inventory.Object // the object of the last line
}

// A Why says why objects are removed.
type Why struct {
	Conditions   []string // that selected the objects; none if they were named
	Policy, Rule string   // of gipcs clean
}

// A sink is where a log goes.
type sink interface {
	put(columns []render.Column, cells []render.Cell) error
	close() error
}

// Open opens or creates a log. A new file is readable only by its owner. An existing one
// must be a regular file of the caller's, not a link, and not writable by other users. A
// line that a killed process left incomplete is taken out if no other process has the log
// open; otherwise a line feed completes it.
func Open(path string, why Why) (*Log, error) {
	s, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return &Log{sink: s, why: why, names: account.New()}, nil
}

// Because sets why the objects of the following lines are removed.
func (l *Log) Because(why Why) { l.why = why }

// Close closes the log.
func (l *Log) Close() error { return l.sink.close() }

// Removing logs that an object is about to be removed.
func (l *Log) Removing(o *inventory.Object) error {
	if err := l.write(o, removing, ""); err != nil {
		return err
	}
	l.last = o
	return nil
}

// Failed logs that an object was not removed, if Removing logged it last.
func (l *Log) Failed(o *inventory.Object, reason error) error {
	if o == nil || o != l.last {
		return nil
	}
	return l.write(o, notRemoved, reason.Error())
}

// The events of a line.
const (
	removing   = "removing"
	notRemoved = "not removed"
)

func (l *Log) write(o *inventory.Object, event, reason string) error {
	columns, cells := l.head(event, reason)
	list := fields.Default([]ref.Kind{o.Kind}, true)
	if o.Use != nil && len(o.Use.Reasons) > 0 {
		list, _ = fields.Choose("+verdict,reasons", list) // these columns exist
	}
	inv := &inventory.Inventory{Taken: time.Now(), Objects: []inventory.Object{*o}}
	columns = append(columns, list.Columns()...)
	for row := range list.Rows(inv, l.names) {
		cells = append(cells, row...)
	}
	if err := l.sink.put(columns, cells); err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return nil
}

// head returns the fields of a line that do not describe the object.
func (l *Log) head(event, reason string) (columns []render.Column, cells []render.Cell) {
	var conditions []render.Cell
	for _, text := range l.why.Conditions {
		conditions = append(conditions, render.Text(text))
	}
	columns = []render.Column{
		{Name: "time"}, {Name: "event"}, {Name: "error"}, {Name: "by_uid"}, {Name: "by_sudo_uid"}, {Name: "by_pid"}, {Name: "selected_by"},
	}
	cells = []render.Cell{
		render.Time(time.Now()), render.Text(event), orUnknown(reason), render.Int(int64(os.Getuid())), sudoUID(), render.Int(int64(os.Getpid())),
		render.List(conditions...),
	}
	if l.why.Policy != "" {
		columns = append(columns, render.Column{Name: "policy"}, render.Column{Name: "rule"})
		cells = append(cells, render.Text(l.why.Policy), orUnknown(l.why.Rule))
	}
	return columns, cells
}

func orUnknown(text string) render.Cell {
	if text == "" {
		return render.Unknown()
	}
	return render.Text(text)
}

// sudoUID returns who called sudo(8), according to the environment, not the kernel.
func sudoUID() render.Cell {
	n, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	if err != nil {
		return render.Unknown()
	}
	return render.Uint(n)
}

// line returns a row as a line of JSON.
func line(columns []render.Column, cells []render.Cell) ([]byte, error) {
	var text bytes.Buffer
	err := render.Write(&text, render.NDJSON, columns, one(cells), render.Options{})
	return text.Bytes(), err
}

func one(cells []render.Cell) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) { yield(cells) }
}
