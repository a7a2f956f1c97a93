package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// A Series is a directory of backups, one for each run, named by when the run began and in
// which IPC namespace: 20261129T144100.123456Z-4026531839. Until the run has ended, the
// name ends in .unfinished; while the backup is being deleted, in .expired.
type Series struct{ dir string }

const (
	nameTime         = "20060102T150405.000000Z"
	unfinishedSuffix = ".unfinished"
	expiredSuffix    = ".expired"
)

// OpenSeries opens the directory, and makes it if it does not exist. It must belong to
// the caller and have mode 0700.
func OpenSeries(dir string) (*Series, error) {
	self, _, err := safepath.Mkdir(dir)
	if err != nil {
		return nil, notDir(dir, err)
	}
	defer self.Close()
	info, err := self.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 || !ownedByCaller(info) {
		return nil, unsafe(dir)
	}
	return &Series{dir}, nil
}

// A Run is the backup of a run, to which objects are saved.
type Run struct {
	*Store
	path string // without unfinishedSuffix
}

// Begin begins the backup of a run in the thread's IPC namespace.
func (s *Series) Begin(now time.Time) (*Run, error) {
	namespace, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	r := &Run{path: filepath.Join(s.dir, fmt.Sprintf("%s-%d", now.UTC().Format(nameTime), namespace))}
	r.Store, err = Create(r.path + unfinishedSuffix)
	return r, err
}

// ownNamespace returns the thread's IPC namespace.
func ownNamespace() (uint64, error) {
	proc, err := procfs.Open(procfs.Root)
	if err != nil {
		return 0, err
	}
	defer proc.Close()
	return proc.OwnIPCNamespace()
}

// Path returns where the backup is once the run has ended.
func (r *Run) Path() string { return r.path }

// End ends the run. There is no backup if nothing was saved; then saved is false.
func (r *Run) End() (saved bool, err error) {
	if err := r.Close(); err != nil {
		return false, err
	}
	err = os.Rename(r.path+unfinishedSuffix, r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// A Settled is what Settle found in the backup of a run that was killed.
type Settled struct {
	Path      string
	Kept      []ref.Object // objects that were saved, but not removed
	Fragments int          // files of objects that were not saved completely
}

// Settle finishes the backups of runs in the thread's IPC namespace that were killed. It
// takes objects out of a backup if they were not removed or not saved completely, and
// reopens objects that were shut for their removal. No other run may be going on. After an
// error, list still holds what was done.
func (s *Series) Settle() (list []Settled, err error) {
	namespace, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	suffix := "-" + strconv.FormatUint(namespace, 10) + unfinishedSuffix
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		done, errRun := s.settleRun(name)
		if errRun != nil {
			err = errors.Join(err, fmt.Errorf("%s cannot be finished: %w", filepath.Join(s.dir, name), errRun))
		}
		if done.Path != "" {
			list = append(list, done)
		}
	}
	return list, err
}

func (s *Series) settleRun(name string) (done Settled, err error) {
	run := &Run{path: filepath.Join(s.dir, strings.TrimSuffix(name, unfinishedSuffix))}
	if run.Store, err = Open(run.path + unfinishedSuffix); err != nil {
		return done, err
	}
	run.made = true // so that End removes it if it is empty
	done.Path = run.path
	done.Kept, done.Fragments, err = run.settleAll()
	_, errEnd := run.End()
	return done, errors.Join(err, errEnd)
}

// settleAll takes the objects that were not removed out of the backup.
func (s *Store) settleAll() (kept []ref.Object, fragments int, err error) {
	names, left, err := s.list()
	for _, name := range names {
		e, errEntry := s.entry(name)
		if errEntry != nil {
			err = errors.Join(err, fmt.Errorf("%s%s %w", name, entrySuffix, errEntry))
			continue
		}
		back, errEntry := s.takeBack(e)
		if back {
			kept = append(kept, e.Ref())
		}
		err = errors.Join(err, errEntry)
	}
	for _, f := range left {
		err = errors.Join(err, s.forget(string(f)))
	}
	return kept, len(left), err
}

// takeBack takes an entry out of the backup if its object was not removed. If the object
// was restored since, it is a new object and the entry stays.
func (s *Store) takeBack(e *Entry) (back bool, err error) {
	if _, err := s.root.Lstat(e.name() + attemptSuffix); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	there, err := s.isThere(e)
	if err != nil || !there {
		return false, err
	}
	return true, errors.Join(s.discard(e), s.forget(e.name()+attemptSuffix))
}

// isThere reports whether the object is still the one that was saved, and reopens it if it
// was shut.
func (s *Store) isThere(e *Entry) (bool, error) {
	if e.kind().POSIX() {
		found, err := s.findFile(e)
		return found == restored, err
	}
	o, err := stat(e.kind(), e.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case o.isShut(e):
		return true, s.reopen(e)
	default:
		return o.isSaved(e), nil
	}
}

// A Limit bounds the backups that Prune keeps.
type Limit struct {
	Age  time.Duration // 0: no limit
	Size int64         // bytes of all backups together; 0: no limit
}

// Prune deletes backups, oldest first, until the rest is within the limit. It spares the
// backup at keep and backups that another process has open. In a backup it deletes only
// files that gipcs made. It returns the backups that it deleted.
func (s *Series) Prune(limit Limit, now time.Time, keep string) (deleted []string, err error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var total int64
	sizes := make(map[string]int64)
	for _, name := range names {
		if sizes[name], err = s.size(name); err != nil {
			return nil, err
		}
		total += sizes[name]
	}
	for _, name := range names {
		began, _ := timeOf(name)
		old := limit.Age > 0 && now.Sub(began) > limit.Age
		full := limit.Size > 0 && total > limit.Size
		path := filepath.Join(s.dir, name)
		kept := strings.TrimSuffix(path, unfinishedSuffix) == keep // its End may have failed
		if !old && !full && !strings.HasSuffix(name, expiredSuffix) || kept {
			continue
		}
		gone, errDelete := s.delete(name)
		err = errors.Join(err, errDelete)
		if gone {
			deleted = append(deleted, strings.TrimSuffix(path, expiredSuffix))
			total -= sizes[name]
		}
	}
	return deleted, err
}

// names returns the names of the backups, oldest first.
func (s *Series) names() (names []string, err error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if _, ok := timeOf(file.Name()); ok && file.IsDir() {
			names = append(names, file.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// timeOf returns when a run began, false if name is not the name of a backup.
func timeOf(name string) (time.Time, bool) {
	began, rest, _ := strings.Cut(name, "-")
	rest = strings.TrimSuffix(rest, expiredSuffix)
	_, errNumber := strconv.ParseUint(strings.TrimSuffix(rest, unfinishedSuffix), 10, 64)
	when, err := time.Parse(nameTime, began)
	return when, err == nil && errNumber == nil
}

func (s *Series) size(name string) (total int64, err error) {
	files, err := os.ReadDir(filepath.Join(s.dir, name))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		info, err := file.Info()
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	return total, nil
}

// delete deletes a backup. It renames it first, so that a partly deleted backup is not
// taken for a whole one.
func (s *Series) delete(name string) (gone bool, err error) {
	path := filepath.Join(s.dir, name)
	store, err := Open(path)
	if errors.Is(err, errInUse) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !strings.HasSuffix(name, expiredSuffix) {
		if err := os.Rename(path, path+expiredSuffix); err != nil {
			return false, errors.Join(err, store.Close())
		}
		path += expiredSuffix
	}
	err = errors.Join(store.clear(), store.Close())
	if err == nil {
		err = safepath.Rmdir(path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s is not deleted completely: it has files that gipcs did not make", path)
	}
	return err == nil, err
}

// clear removes the files that gipcs made.
func (s *Store) clear() (err error) {
	files, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, file := range files {
		if isOurs(file) {
			err = errors.Join(err, s.forget(file.Name()))
		}
	}
	return err
}

// isOurs reports whether a file has a name that gipcs gives.
func isOurs(file fs.DirEntry) bool {
	name := strings.TrimSuffix(file.Name(), partSuffix)
	for _, suffix := range []string{entrySuffix, dataSuffix, attemptSuffix} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			_, ok := unfinished(base + dataSuffix)
			return ok && file.Type().IsRegular()
		}
	}
	return false
}
