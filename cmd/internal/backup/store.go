package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// Suffixes of file names.
const (
	entrySuffix   = ".json"
	dataSuffix    = ".data"
	attemptSuffix = ".restored"
	partSuffix    = ".part" // added to one of the others
)

// A Store is the directory of a backup. Only one process can have it open.
type Store struct {
	dir  string
	root *os.Root // confines all access to the directory, whatever links it contains
	self *os.File // the directory, locked
	made bool     // Create made the directory
	// Progress, unless nil, is called now and then while contents are copied.
	Progress func(what string, done, total int64)
}

// Create opens a directory to save objects to, and makes it if it does not exist. It
// fails if other users can read or write the directory, or if it is in use.
func Create(dir string) (*Store, error) {
	self, made, err := safepath.Mkdir(dir)
	if err != nil {
		return nil, notDir(dir, err)
	}
	s, err := openStore(dir, self)
	if err == nil {
		s.made = made
	}
	return s, err
}

// Open opens the directory of a backup to restore objects from.
func Open(dir string) (*Store, error) {
	self, err := safepath.OpenDir(dir)
	if err != nil {
		return nil, notDir(dir, err)
	}
	return openStore(dir, self)
}

func notDir(dir string, err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%s is not a directory, or is a symbolic link", dir)
	}
	return err
}

// openStore checks that the directory is safe and locks it.
func openStore(dir string, self *os.File) (*Store, error) {
	s := &Store{dir: dir, self: self}
	err := s.take()
	if err == nil {
		err = s.openRoot()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) take() error {
	info, err := s.self.Stat()
	switch {
	case err != nil:
		return err
	case info.Mode().Perm()&0o077 != 0 || !ownedByCaller(info):
		return unsafe(s.dir)
	}
	if err := lock(s.self); err != nil {
		return fmt.Errorf("%s %w: %w", s.dir, errInUse, err)
	}
	return nil
}

var errInUse = errors.New("is in use by another process")

func unsafe(dir string) error {
	return fmt.Errorf("%s is not safe for a backup: it must belong to you and have mode 0700", dir)
}

// openRoot opens the directory by name again and checks that it is the same one.
func (s *Store) openRoot() (err error) {
	if s.root, err = os.OpenRoot(s.dir); err != nil {
		return err
	}
	info, err := s.root.Stat(".")
	if err != nil {
		return err
	}
	if self, err := s.self.Stat(); err != nil || !os.SameFile(info, self) {
		return errors.Join(fmt.Errorf("%s was replaced meanwhile", s.dir), err)
	}
	return nil
}

// Close releases the directory. It removes an empty directory that Create made.
func (s *Store) Close() error {
	var err error
	if s.root != nil {
		err = s.root.Close()
	}
	if s.made { // while we hold the lock
		if errEmpty := safepath.Rmdir(s.dir); !errors.Is(errEmpty, fs.ErrExist) {
			err = errors.Join(err, errEmpty)
		}
	}
	return errors.Join(err, s.self.Close())
}

// commit writes the .json file of an entry and syncs it. After an error there is no
// such file.
func (s *Store) commit(e *Entry) error {
	content, err := encode(e)
	if err != nil {
		return err
	}
	err = s.replace(e.name()+entrySuffix, func(f *os.File) error {
		_, err := f.Write(content)
		return errors.Join(err, f.Sync())
	})
	if err != nil {
		return err
	}
	return s.self.Sync() // makes its name and the name of the .data file durable
}

// discard takes an entry, which may be nil, out of the backup.
func (s *Store) discard(e *Entry) error {
	if e == nil {
		return nil
	}
	return errors.Join(s.forget(e.name()+entrySuffix), s.forget(e.name()+dataSuffix))
}

// replace writes a file with fill, then gives it its name.
func (s *Store) replace(name string, fill func(*os.File) error) error {
	if err := s.write(name+partSuffix, fill); err != nil {
		return err
	}
	return s.root.Rename(name+partSuffix, name)
}

// write makes a new file and calls fill to write it. If that fails nothing is left. An
// existing fragment of that name is replaced.
func (s *Store) write(name string, fill func(*os.File) error) error {
	if err := s.forget(name); err != nil {
		return err
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return errors.Join(err, s.forget(name))
	}
	return nil
}

// forget removes a file if it is there.
func (s *Store) forget(name string) error {
	if err := s.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openFile opens a regular file for reading. It rejects links, devices and files of
// other users.
func (s *Store) openFile(name string) (*os.File, error) {
	named, err := s.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() || !ownedByCaller(named) {
		return nil, fmt.Errorf("%s/%s is not a regular file that you own", s.dir, name)
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !os.SameFile(named, info) {
		return nil, errors.Join(fmt.Errorf("%s/%s was replaced meanwhile", s.dir, name), err, f.Close())
	}
	return f, nil
}

func (s *Store) readFile(name string) ([]byte, error) {
	f, err := s.openFile(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	return content, errors.Join(err, f.Close())
}

// A Fragment is a file that a killed process left behind. Its object was not removed.
type Fragment string

// Entries verifies the whole backup and returns its objects and its fragments. Damaged
// objects are reported in err. Queue messages are not kept in memory; Restore reads
// them again.
func (s *Store) Entries() (entries []*Entry, fragments []Fragment, err error) {
	names, fragments, err := s.list()
	for _, name := range names {
		e, errEntry := s.verify(name)
		if errEntry != nil {
			err = errors.Join(err, fmt.Errorf("%s/%s%s %w", s.dir, name, entrySuffix, errEntry))
			continue
		}
		entries = append(entries, e)
	}
	return entries, fragments, err
}

// list returns the names of the entries, without looking into them, and the fragments.
func (s *Store) list() (names []string, fragments []Fragment, err error) {
	files, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, nil, err
	}
	whole := make(map[string]bool)
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), entrySuffix); ok {
			whole[name] = true
			names = append(names, name)
		}
	}
	for _, file := range files {
		if name, ok := unfinished(file.Name()); ok && !whole[name] {
			fragments = append(fragments, Fragment(file.Name()))
		}
	}
	return names, fragments, nil
}

// unfinished reports whether a file is one that Save writes before the .json file, and
// returns its base name.
func unfinished(file string) (base string, ok bool) {
	for _, suffix := range []string{dataSuffix, dataSuffix + partSuffix, entrySuffix + partSuffix} {
		base, ok := strings.CutSuffix(file, suffix)
		if !ok {
			continue
		}
		for _, kind := range ref.Kinds() {
			if id, ok := strings.CutPrefix(base, kind.String()+"-"); ok {
				_, err := strconv.ParseUint(id, 10, 31)
				return base, err == nil || kind.POSIX() && id != ""
			}
		}
	}
	return "", false
}

func (s *Store) verify(base string) (*Entry, error) {
	e, err := s.entry(base)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Segment != nil:
		return e, s.readData(e, nil)
	case e.Queue != nil:
		e.Queue.Messages = nil
	}
	return e, nil
}

// entry reads and decodes an entry.
func (s *Store) entry(base string) (*Entry, error) {
	content, err := s.readFile(base + entrySuffix)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	e, err := decode(content)
	if err != nil {
		return nil, err
	}
	if e.name() != base {
		return nil, fmt.Errorf("holds %v, which is not what its name says", e)
	}
	return e, nil
}
