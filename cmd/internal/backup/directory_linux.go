package backup

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func ownedByCaller(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// lock takes the directory for this process alone; it has it until it closes it or
// ends, however it ends.
func lock(dir *os.File) error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// removeEmpty removes a directory. If there is something in it that is fs.ErrExist.
func removeEmpty(dir string) error {
	if err := unix.Rmdir(dir); err != nil {
		return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}

// unnamedFile makes a file that goes when it is closed unless it is linked.
func unnamedFile(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
}

// linkFile gives a file of unnamedFile a name, unless it is taken.
func linkFile(f *os.File, path string) error {
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// noteFile notes which file an object is about to be.
func (s *Store) noteFile(e *Entry, f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	return s.note(e, attempt{ID: -1, Dev: uint64(st.Dev), Ino: st.Ino})
}
