package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// A Store is the directory of a backup.
type Store struct {
	dir  string
	root *os.Root // nothing outside the directory is ever touched, whatever links are in it
	// Progress is called now and then while contents are copied, if it is not nil.
	Progress func(what string, done, total int64)
}

// Create opens a directory to save objects to, and makes it if there is none. One
// that others can look into or write to is refused.
func Create(dir string) (*Store, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return open(dir)
}

// Open opens the directory of a backup to restore objects from.
func Open(dir string) (*Store, error) { return open(dir) }

func open(dir string) (*Store, error) {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no directory", dir)
	case info.Mode().Perm()&0o077 != 0 || !ownedByCaller(info):
		return nil, fmt.Errorf("%s is not safe for a backup: it has to be yours, with mode 0700", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, root: root}, nil
}

// Close ends the use of the directory.
func (s *Store) Close() error { return s.root.Close() }

// commit writes a file that is either there and whole, or not there.
func (s *Store) commit(name string, content []byte) error {
	partial := name + ".part"
	if err := s.write(partial, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	}); err != nil {
		return err
	}
	if err := s.root.Rename(partial, name); err != nil {
		return err
	}
	return s.sync()
}

// write makes a new file of what fill writes, and sees to it that it is on disk. A
// fragment of that name is replaced.
func (s *Store) write(name string, fill func(*os.File) error) (err error) {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	return f.Sync()
}

// sync sees to it that the names in the directory are on disk.
func (s *Store) sync() error {
	d, err := s.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openFile opens a plain file for reading; a link or a device is refused.
func (s *Store) openFile(name string) (*os.File, error) {
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s/%s is no plain file", s.dir, name)
	}
	return s.root.Open(name)
}

// A Fragment is a file that a process which was killed left behind. The object that
// it is of was not removed.
type Fragment string

// Entries returns the objects of the backup, after it has verified all of them, and
// what is left of others. Damaged ones are the error.
func (s *Store) Entries() (entries []*Entry, fragments []Fragment, err error) {
	d, err := s.root.Open(".")
	if err != nil {
		return nil, nil, err
	}
	files, err := d.ReadDir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, nil, err
	}
	whole := make(map[string]bool)
	for _, file := range files {
		base, ok := strings.CutSuffix(file.Name(), ".json")
		if !ok {
			continue
		}
		whole[base] = true
		e, errEntry := s.entry(file.Name(), base)
		if errEntry != nil {
			err = errors.Join(err, fmt.Errorf("%s/%s %w", s.dir, file.Name(), errEntry))
			continue
		}
		entries = append(entries, e)
	}
	for _, file := range files {
		base, _, _ := strings.Cut(file.Name(), ".")
		if !whole[base] || strings.HasSuffix(file.Name(), ".part") {
			fragments = append(fragments, Fragment(file.Name()))
		}
	}
	return entries, fragments, err
}

func (s *Store) entry(file, base string) (*Entry, error) {
	f, err := s.openFile(file)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	e, err := decode(content)
	if err != nil {
		return nil, err
	}
	if e.name() != base {
		return nil, fmt.Errorf("holds %v, which is not what its name says", e)
	}
	if e.Segment != nil {
		return e, s.verifyData(e)
	}
	return e, nil
}
