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
	"syscall"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// ErrWrite is wrapped by every error of opening or writing a log. A caller should not
// remove what it cannot log.
var ErrWrite = errors.New("the log cannot be written")

// A Log is a file to which a line of JSON is appended for each removal: when, by whom,
// why, and what the object was. The line is written before the removal; if the removal
// then fails, a second line says so. A process killed while it writes leaves an
// incomplete line, and has not removed that object.
type Log struct {
	file  *os.File
	why   []render.Cell
	names *account.Directory
	last  *inventory.Object // the object of the last line
}

// Open opens or creates a log. why holds the conditions that selected the objects, and
// is empty if they were named. A new file is readable only by its owner. An existing
// one must be a regular file of the caller's, not a link, and not writable by other
// users.
func Open(path string, why []string) (*Log, error) {
	file, err := safepath.OpenAppend(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrite, err)
	}
	if err := endLine(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("%w: %w", ErrWrite, err)
	}
	l := &Log{file: file, names: account.New()}
	for _, text := range why {
		l.why = append(l.why, render.Text(text))
	}
	return l, nil
}

// endLine completes a line that a killed process left, if the caller may read the file.
func endLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], info.Size()-1)
	switch {
	case errors.Is(err, syscall.EBADF): // not open for reading
		return nil
	case err != nil || last[0] == '\n':
		return err
	}
	_, err = file.WriteString("\n")
	return err
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }

// Removing logs that an object is about to be removed.
func (l *Log) Removing(o *inventory.Object) error {
	if err := l.write(o, "removing", ""); err != nil {
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
	return l.write(o, "not removed", reason.Error())
}

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
	// A single write: the line is complete unless the process is killed during it.
	var line bytes.Buffer
	err := render.Write(&line, render.NDJSON, columns, one(cells), render.Options{})
	if err == nil {
		_, err = l.file.Write(line.Bytes())
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return nil
}

// head returns the fields of a line that do not describe the object.
func (l *Log) head(event, reason string) (columns []render.Column, cells []render.Cell) {
	why := render.Unknown()
	if reason != "" {
		why = render.Text(reason)
	}
	columns = []render.Column{
		{Name: "time"}, {Name: "event"}, {Name: "error"}, {Name: "by_uid"}, {Name: "by_sudo_uid"}, {Name: "by_pid"}, {Name: "selected_by"},
	}
	cells = []render.Cell{
		render.Time(time.Now()), render.Text(event), why, render.Int(int64(os.Getuid())), sudoUID(), render.Int(int64(os.Getpid())),
		render.List(l.why...),
	}
	return columns, cells
}

// sudoUID returns who called sudo(8), according to the environment, not the kernel.
func sudoUID() render.Cell {
	n, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	if err != nil {
		return render.Unknown()
	}
	return render.Uint(n)
}

func one(cells []render.Cell) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) { yield(cells) }
}
