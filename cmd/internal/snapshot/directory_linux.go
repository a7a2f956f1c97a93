package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/safepath"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A Directory holds snapshots that are named by their time. Snapshots of other hosts and
// namespaces, and other files, may be there too.
type Directory struct {
	dir *os.File
	own *Header // of a snapshot taken here and now
}

// OpenDirectory opens a directory for a caller whose own snapshot has this header.
func OpenDirectory(path string, own *Header) (*Directory, error) {
	dir, err := safepath.OpenDir(path)
	return newDirectory(path, dir, own, err)
}

// MakeDirectory is OpenDirectory, but makes a directory of mode 0700 if there is none.
func MakeDirectory(path string, own *Header) (*Directory, error) {
	dir, _, err := safepath.Mkdir(path)
	return newDirectory(path, dir, own, err)
}

func newDirectory(path string, dir *os.File, own *Header, err error) (*Directory, error) {
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%s is not a directory, or is a symbolic link", path)
	case err != nil:
		return nil, err
	}
	return &Directory{dir, own}, nil
}

// Close closes the directory.
func (d *Directory) Close() error { return d.dir.Close() }

// Every file name begins with namePrefix and ends with nameSuffix.
const (
	namePrefix = "gipcs-"
	nameSuffix = ".ndjson.gz"
)

// name returns the name of the file for a snapshot.
func (h *Header) name() string {
	plain := func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}
	return fmt.Sprintf("%s%s-%d-%s%s", namePrefix, strings.Map(plain, h.Host), h.Namespace,
		h.Taken.UTC().Format("20060102T150405.000000Z"), nameSuffix)
}

// private is the mode of a snapshot: names of users and programs are nobody else's business.
const private = 0o600

// Save writes a compressed snapshot with the directory's header, and returns its path.
func (d *Directory) Save(write func(io.Writer) error) (path string, err error) {
	name := d.own.name()
	return d.dir.Name() + "/" + name, safepath.ReplaceIn(d.dir, name, private, write)
}

// An entry is a snapshot in a directory.
type entry struct {
	name string
	*Header
	owner uint32
}

// entries returns the snapshots of the caller's host and namespace. It skips what it
// cannot read and what does not look like a snapshot.
func (d *Directory) entries() ([]entry, error) {
	names, err := d.dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	if _, err := d.dir.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []entry
	for _, name := range names {
		if !strings.HasPrefix(name, namePrefix) || !strings.HasSuffix(name, nameSuffix) {
			continue
		}
		e, err := d.entry(name)
		if err == nil && e.Host == d.own.Host && e.Namespace == d.own.Namespace {
			list = append(list, e)
		}
	}
	return list, nil
}

func (d *Directory) entry(name string) (entry, error) {
	file, err := safepath.OpenRegular(d.dir, name)
	if err != nil {
		return entry{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return entry{}, err
	}
	h, err := ReadHeader(file)
	return entry{name, h, info.Sys().(*syscall.Stat_t).Uid}, err
}

// age returns how much older than own a snapshot is. Within one boot that does not depend
// on the clock.
func (h *Header) age(own *Header) time.Duration {
	if h.BootID == own.BootID {
		return own.Uptime - h.Uptime
	}
	return own.Taken.Sub(h.Taken)
}

// A Moment names a snapshot by its time.
type Moment struct {
	text string
	at   time.Time
	ago  time.Duration // if at is zero
}

// ParseMoment parses a time (RFC 3339), or how long ago it was.
func ParseMoment(text string) (Moment, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return Moment{text: text, at: at}, nil
	}
	ago, err := units.ParseDuration(text)
	if err != nil {
		return Moment{}, fmt.Errorf("%q is neither a time nor a duration; write 2026-01-31T15:00:00Z, 2h (two hours ago) or now", text)
	}
	return Moment{text: text, ago: ago}, nil
}

// after returns how long after a snapshot the moment is.
func (m Moment) after(h, own *Header) time.Duration {
	if m.at.IsZero() {
		return h.age(own) - m.ago
	}
	return m.at.Sub(h.Taken)
}

// Find opens the last snapshot that was taken at a moment or before. It only considers
// snapshots of the caller's host and namespace that the caller or root wrote.
func (d *Directory) Find(m Moment) (*os.File, error) {
	list, err := d.entries()
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(e entry) bool { return e.owner != 0 && int(e.owner) != os.Geteuid() })
	if len(list) == 0 {
		return nil, fmt.Errorf("there is no snapshot of this host and IPC namespace in %s", d.dir.Name())
	}
	distance := func(e entry) time.Duration { return m.after(e.Header, d.own) }
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(distance(a), distance(b)) })
	i := slices.IndexFunc(list, func(e entry) bool { return distance(e) >= 0 })
	if i < 0 {
		oldest := list[len(list)-1]
		return nil, fmt.Errorf("no snapshot in %s is as old as %s; the oldest is %s", d.dir.Name(), m.text, oldest.Taken.Format(time.RFC3339))
	}
	return safepath.OpenRegular(d.dir, list[i].name)
}

// Prune removes old snapshots that the caller wrote on this host and in this namespace: all
// that are older than keep, and all beyond the newest, of which most remain; 0 means no
// limit. It never removes the snapshot with the directory's own header. Errors are joined;
// each concerns one file.
func (d *Directory) Prune(keep time.Duration, most int) error {
	list, err := d.entries()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e entry) bool { return int(e.owner) != os.Geteuid() || e.name == d.own.name() })
	// After the clock was set back, a snapshot of another boot seems to come from the future.
	// It does not count as the newest.
	order := func(e entry) time.Duration {
		if age := e.age(d.own); age >= 0 {
			return age
		}
		return math.MaxInt64
	}
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(order(a), order(b)) })
	var errs []error
	for i, e := range list {
		if keep > 0 && e.age(d.own) > keep || most > 0 && i+1 >= most {
			errs = append(errs, d.remove(e.name))
		}
	}
	return errors.Join(errs...)
}

func (d *Directory) remove(name string) error {
	err := unix.Unlinkat(int(d.dir.Fd()), name, 0)
	if err == nil || errors.Is(err, fs.ErrNotExist) { // another gipcs may have removed it
		return nil
	}
	return &fs.PathError{Op: "remove", Path: d.dir.Name() + "/" + name, Err: err}
}
