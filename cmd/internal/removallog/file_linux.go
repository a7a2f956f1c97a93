package removallog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// lineStart is how every line of a log begins.
const lineStart = `{"time":"`

// A file is a log in a file. While it is open it holds a read lock on the file, which the
// kernel releases when the file is closed.
type file struct {
	*os.File
	dropped    bool    // an incomplete line was taken out
	unfinished *record // the last line, if nobody else has the log open
}

// openFile opens a log, and ends an incomplete line.
func openFile(path string) (*file, error) {
	opened, err := safepath.OpenAppend(path)
	if err != nil {
		return nil, err
	}
	f := &file{File: opened}
	// Only a process that may write to the file can hold a lock that makes this one wait.
	alone := f.lock(unix.F_WRLCK, unix.F_OFD_SETLK) == nil
	err = f.endLine(alone)
	if err == nil {
		err = f.lock(unix.F_RDLCK, unix.F_OFD_SETLKW)
	}
	if errors.Is(err, unix.EBADF) || errors.Is(err, unix.EINVAL) { // not open for reading; before Linux 3.15
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return f, nil
}

func (f *file) lock(kind int16, command int) error {
	for {
		err := unix.FcntlFlock(f.Fd(), command, &unix.Flock_t{Type: kind, Whence: io.SeekStart})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// endLine takes out an incomplete line that a killed process left. If another process
// may be writing it, or if it is no line of a log, a line feed completes it.
func (f *file) endLine(alone bool) error {
	last, at, err := f.lastLine()
	switch {
	case errors.Is(err, unix.EBADF): // not open for reading
		return nil
	case err != nil || len(last) == 0:
		return err
	case last[len(last)-1] == '\n':
		if alone {
			f.unfinished = parseRecord(last)
		}
		return nil
	}
	begun := bytes.HasPrefix(last, []byte(lineStart)) || bytes.HasPrefix([]byte(lineStart), last)
	if !alone || !begun {
		_, err := f.WriteString("\n")
		return err
	}
	f.dropped = true
	if err := f.Truncate(at); err != nil {
		return err
	}
	if last, _, err = f.lastLine(); err == nil {
		f.unfinished = parseRecord(last)
	}
	return err
}

// lastLine returns the last line, with its line feed if it has one, and its offset. A line
// that is longer than any line of a log is cut off at its beginning.
func (f *file) lastLine() (line []byte, at int64, err error) {
	const longest = 1 << 20
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, 0, err
	}
	at = max(info.Size()-longest, 0)
	tail := make([]byte, info.Size()-at)
	if _, err := f.ReadAt(tail, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	begin := bytes.LastIndexByte(tail[:len(tail)-1], '\n') + 1
	return tail[begin:], at + int64(begin), nil
}

// put appends a line in a single write: it is complete unless the process is killed
// during it. If the disk is full, it takes out what it has written.
func (f *file) put(columns []render.Column, cells []render.Cell) error {
	text, err := line(columns, cells)
	if err != nil {
		return err
	}
	n, err := f.Write(text)
	if err != nil && n > 0 {
		return errors.Join(err, f.takeOut(text[:n]))
	}
	return err
}

// takeOut removes part, the beginning of a line, from the end of the file. If another
// process has the log open, it may have written more, so the part stays, and the next
// process that opens the log completes the line.
func (f *file) takeOut(part []byte) error {
	if f.lock(unix.F_WRLCK, unix.F_OFD_SETLK) != nil {
		return nil
	}
	tail := make([]byte, len(part))
	info, err := f.Stat()
	if err == nil {
		_, err = f.ReadAt(tail, max(info.Size()-int64(len(tail)), 0))
	}
	if err == nil && bytes.Equal(tail, part) {
		err = f.Truncate(info.Size() - int64(len(tail)))
	}
	return errors.Join(err, f.lock(unix.F_RDLCK, unix.F_OFD_SETLKW))
}

func (f *file) close() error { return f.Close() }

// A record holds the fields that are read from a line.
type record struct {
	Event string `json:"event"`
	Rule  string `json:"rule"`
	Kind  string `json:"kind"`
	ID    *int   `json:"id"`
	Name  string `json:"name"`
	fixed map[string]any
}

// fixedFields never change while an object exists, except that changing its mode sets
// ctime.
func fixedFields() []string { return []string{"kind", "id", "key", "name", "inode", "cuid", "ctime"} }

// parseRecord parses a line of a log. It returns nil for any other text.
func parseRecord(text []byte) *record {
	r := &record{}
	if json.Unmarshal(text, r) != nil || json.Unmarshal(text, &r.fixed) != nil {
		return nil
	}
	for name := range r.fixed {
		if !slices.Contains(fixedFields(), name) {
			delete(r.fixed, name)
		}
	}
	return r
}

func (r *record) object() (o ref.Object, ok bool) {
	for _, kind := range ref.Kinds() {
		if kind.String() == r.Kind {
			o = ref.Object{Kind: kind, Name: r.Name}
			if r.ID != nil {
				o.ID = *r.ID
			}
			return o, kind.POSIX() == (r.ID == nil)
		}
	}
	return o, false
}

// A Resumption is what Resume found unfinished in a log.
type Resumption struct {
	Dropped bool        // an incomplete line was taken out
	Kept    *ref.Object // the object logged last, if it was not removed; the log says so now
}

// Resume completes the log of a process that was killed: if the last line announces the
// removal of an object that still exists, Resume adds a line that says that the object was
// not removed. back are objects that the caller knows to be those in the log though they
// have changed. Resume does nothing while another process has the log open.
func (l *Log) Resume(back []ref.Object) (done Resumption, err error) {
	f, ok := l.sink.(*file)
	if !ok {
		return done, l.resumeBack(back)
	}
	done.Dropped = f.dropped
	if f.unfinished == nil || f.unfinished.Event != removing {
		return done, nil
	}
	name, ok := f.unfinished.object()
	if !ok {
		return done, nil
	}
	now, err := inventory.Look(name)
	if err != nil || !slices.Contains(back, name) && !l.same(f.unfinished, &now) {
		return done, nil // it is gone, is another object, or cannot be inspected
	}
	done.Kept = &name
	l.why.Rule = f.unfinished.Rule
	return done, l.write(&now, notRemoved, errKilled)
}

const errKilled = "gipcs was killed before it removed this"

// resumeBack is Resume for a log that cannot be read.
func (l *Log) resumeBack(back []ref.Object) error {
	for _, name := range back {
		now, err := inventory.Look(name)
		if err != nil {
			continue
		}
		if err := l.write(&now, notRemoved, errKilled); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether o is the object of a line.
func (l *Log) same(r *record, o *inventory.Object) bool {
	var now bytes.Buffer
	probe := Log{sink: writer{&now}, names: l.names}
	if err := probe.write(o, removing, ""); err != nil {
		return false
	}
	other := parseRecord(now.Bytes())
	if other == nil || len(r.fixed) == 0 {
		return false
	}
	for _, name := range fixedFields() {
		if fmt.Sprint(r.fixed[name]) != fmt.Sprint(other.fixed[name]) {
			return false
		}
	}
	return true
}

// A writer is a log in memory.
type writer struct{ io.Writer }

func (w writer) put(columns []render.Column, cells []render.Cell) error {
	text, err := line(columns, cells)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

func (writer) close() error { return nil }
