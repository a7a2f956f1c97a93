package safepath

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Replace writes a new file, syncs it, and only then gives it its name. The file has
// permissions perm whatever the umask is. If anything fails, or the process is killed, the
// old file of that name is still there. A process that is killed just before it replaces
// the old file leaves the new one, which is complete, as .NAME.RANDOM: link(2) cannot
// replace a file, so there are two steps. On a file system without unnamed files
// (O_TMPFILE), such as NFS, a process that is killed at any time leaves such a file.
//
// An existing file must be a regular one: Replace neither follows a link nor replaces a
// device. Unless may is nil, it is called with that file, open for reading, and its error
// ends Replace.
func Replace(path string, perm fs.FileMode, may func(old *os.File) error, write func(io.Writer) error) error {
	parent, name, err := OpenParent(path)
	if err != nil {
		return err
	}
	defer parent.Close()
	if name == "." || name == ".." {
		return &fs.PathError{Op: "open", Path: path, Err: unix.EISDIR}
	}
	if err := checkOld(parent, name, path, may); err != nil {
		return err
	}
	return replace(parent, name, path, unix.O_TMPFILE, perm, write)
}

// ReplaceIn is Replace for a file of an open directory. It does not check what it replaces.
func ReplaceIn(dir *os.File, name string, perm fs.FileMode, write func(io.Writer) error) error {
	return replace(dir, name, dir.Name()+"/"+name, unix.O_TMPFILE, perm, write)
}

// replace uses a file without a name if the file system accepts the flag for it.
func replace(dir *os.File, name, path string, unnamed int, perm fs.FileMode, write func(io.Writer) error) error {
	// A program that reads all files with a certain suffix skips this name.
	beside := "." + name + "." + rand.Text()
	file, err := openAt(dir, ".", path, unnamed|unix.O_WRONLY, 0o600)
	named := err != nil
	if named {
		if file, err = openAt(dir, beside, path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	err = fill(file, perm, write)
	if err == nil && !named {
		err = linkFile(file, dir, name)
		if errors.Is(err, fs.ErrExist) {
			err = linkFile(file, dir, beside)
			named = err == nil
		}
	}
	if err == nil && named {
		err = pathError("rename", path, unix.Renameat(int(dir.Fd()), beside, int(dir.Fd()), name))
	}
	if err != nil && named {
		err = errors.Join(err, pathError("remove", path, unix.Unlinkat(int(dir.Fd()), beside, 0)))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir *os.File) error {
	if err := dir.Sync(); !errors.Is(err, unix.EBADF) { // EBADF: opened with O_PATH
		return err
	}
	return nil
}

// pathError adds an operation and its file to an error, unless it is nil.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// fill writes a file to disk.
func fill(file *os.File, perm fs.FileMode, write func(io.Writer) error) error {
	w := bufio.NewWriter(file)
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Chmod(perm)
	}
	if err == nil {
		err = file.Sync()
	}
	return err
}

// linkFile gives an unnamed file its first name.
func linkFile(file, dir *os.File, name string) error {
	self := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	return pathError("link", file.Name(), unix.Linkat(unix.AT_FDCWD, self, int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW))
}

// checkOld returns an error unless an existing file may be replaced.
func checkOld(dir *os.File, name, path string, may func(*os.File) error) error {
	fail := func(err error) error { return &fs.PathError{Op: "replace", Path: path, Err: err} }
	var st unix.Stat_t
	switch err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fail(err)
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return fail(errors.New("it is a symbolic link"))
	case st.Mode&unix.S_IFMT != unix.S_IFREG: // do not open it: a device may act on that
		return fail(errNotRegular)
	}
	if may == nil {
		return nil
	}
	old, err := openRegular(dir, name, path)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := may(old); err != nil {
		return fail(err)
	}
	return nil
}

// OpenRegular opens a file of an open directory for reading. It must be a regular file and
// no link. It never blocks, as opening a FIFO would.
func OpenRegular(dir *os.File, name string) (*os.File, error) {
	return openRegular(dir, name, dir.Name()+"/"+name)
}

func openRegular(dir *os.File, name, path string) (*os.File, error) {
	file, err := openAt(dir, name, path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
