package safepath

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Replace writes a new file of mode 0600, syncs it, and only then gives it its name. If
// anything fails, or the process is killed, what had that name before is still there, and
// nothing else; but where the file system has no files without a name (O_TMPFILE), as NFS,
// a killed process leaves a hidden file NAME.RANDOM.part.
//
// If a file of that name exists, may is called with it, open for reading, and its error
// ends Replace. It must be a regular file: Replace neither follows a link nor replaces a
// directory or a device.
func Replace(path string, may func(old *os.File) error, write func(*os.File) error) error {
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
	return replace(parent, name, path, unix.O_TMPFILE, write)
}

// ReplaceIn is Replace for a file of an open directory, whatever had its name.
func ReplaceIn(dir *os.File, name string, write func(*os.File) error) error {
	return replace(dir, name, dir.Name()+"/"+name, unix.O_TMPFILE, write)
}

// replace uses a file without a name if the file system accepts the flag for it.
func replace(dir *os.File, name, path string, unnamed int, write func(*os.File) error) error {
	part := "." + name + "." + rand.Text() + ".part"
	fail := func(op string, err error) error { return &fs.PathError{Op: op, Path: path, Err: err} }
	fd, err := unix.Openat(int(dir.Fd()), ".", unnamed|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	named := err != nil
	if named {
		fd, err = unix.Openat(int(dir.Fd()), part, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	}
	if err != nil {
		return fail("create", err)
	}
	file := os.NewFile(uintptr(fd), path)
	err = errors.Join(write(file), file.Sync())
	if err == nil && !named {
		err = linkFile(file, dir, part)
		named = err == nil
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = unix.Renameat(int(dir.Fd()), part, int(dir.Fd()), name)
	}
	if err != nil {
		if named {
			err = errors.Join(err, unix.Unlinkat(int(dir.Fd()), part, 0))
		}
		return fail("write", err)
	}
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EBADF) { // EBADF: opened with O_PATH
		return fail("sync", err)
	}
	return nil
}

// linkFile gives a file without a name its first one.
func linkFile(file, dir *os.File, name string) error {
	self := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	return unix.Linkat(unix.AT_FDCWD, self, int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

// checkOld asks whether an existing file may be replaced.
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
