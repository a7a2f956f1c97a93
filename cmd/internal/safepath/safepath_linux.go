package safepath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links are followed, the kernel's limit.
const maxLinks = 40

// OpenParent opens the directory that contains path's last element, and returns that
// element, which may be "." or "..". A trailing slash is ignored.
func OpenParent(path string) (dir *os.File, name string, err error) {
	if path == "" {
		return nil, "", &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	w := &walk{rest: elements(path)}
	name = "."
	if n := len(w.rest); n > 0 {
		name, w.rest = w.rest[n-1], w.rest[:n-1]
	}
	start := "."
	if strings.HasPrefix(path, "/") {
		start = "/"
	}
	if err := w.from(start); err != nil {
		return nil, "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	fd, err := unix.Openat(w.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) { // a directory with search but not read permission
		fd, err = w.fd, nil
	} else {
		unix.Close(w.fd)
	}
	if err != nil {
		return nil, "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), name, nil
}

// OpenDir opens a directory. If path is a link, the error is ENOTDIR.
func OpenDir(path string) (*os.File, error) {
	parent, name, err := OpenParent(path)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	return openAt(parent, name, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// Mkdir makes a directory of mode 0700 and opens it, or opens an existing one. A new
// directory is synced to disk.
func Mkdir(path string) (dir *os.File, made bool, err error) {
	parent, name, err := OpenParent(path)
	if err != nil {
		return nil, false, err
	}
	defer parent.Close()
	switch err := unix.Mkdirat(int(parent.Fd()), name, 0o700); {
	case err == nil:
		made = true
		if err := parent.Sync(); err != nil && !errors.Is(err, unix.EBADF) { // EBADF: opened with O_PATH
			return nil, true, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, false, &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	dir, err = openAt(parent, name, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return dir, made, err
}

// Rmdir removes an empty directory. If it is not empty, the error is fs.ErrExist.
func Rmdir(path string) error {
	parent, name, err := OpenParent(path)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := unix.Unlinkat(int(parent.Fd()), name, unix.AT_REMOVEDIR); err != nil {
		return &fs.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}

// OpenAppend opens a file for appending, and creates it with mode 0600 if it does not
// exist. The file must be a regular file of the caller's, with one name, and not
// writable by others. It never blocks, as opening a FIFO would.
func OpenAppend(path string) (*os.File, error) {
	parent, name, err := OpenParent(path)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	const flags = unix.O_RDWR | unix.O_APPEND | unix.O_CREAT | unix.O_NONBLOCK
	file, err := openAt(parent, name, path, flags, 0o600)
	if errors.Is(err, unix.EACCES) { // a file that its owner may not read
		file, err = openAt(parent, name, path, flags&^unix.O_RDWR|unix.O_WRONLY, 0o600)
	}
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a symbolic link")}
	case errors.Is(err, unix.ENXIO): // a FIFO without a reader, or a socket
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	case err != nil:
		return nil, err
	}
	if err := checkFile(file); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: path, Err: err}, file.Close())
	}
	return file, nil
}

var errNotRegular = errors.New("it is not a regular file")

// checkFile returns an error unless the file is the caller's alone.
func checkFile(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errNotRegular
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to uid %d, you are uid %d", st.Uid, os.Geteuid())
	case st.Mode&0o022 != 0:
		return fmt.Errorf("other users may write to it (mode %04o)", st.Mode&0o7777)
	case st.Nlink != 1:
		return fmt.Errorf("it has %d names (hard links)", st.Nlink)
	}
	return nil
}

func openAt(dir *os.File, name, path string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// elements returns the significant elements of a path.
func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(e string) bool { return e == "" || e == "." })
}

// A walk is a position on a path.
type walk struct {
	fd    int // of the current directory
	rest  []string
	links int
	check func(fd int) error // of every directory on the path; nil: none
}

// from walks to the end of the path. If it returns nil, the caller must close w.fd.
func (w *walk) from(start string) (err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	if w.fd, err = unix.Open(start, flags, 0); err != nil {
		return err
	}
	if err := w.inspect(w.fd); err != nil {
		unix.Close(w.fd)
		return err
	}
	for len(w.rest) > 0 {
		name := w.rest[0]
		next, err := unix.Openat(w.fd, name, flags|unix.O_NOFOLLOW, 0)
		if errors.Is(err, unix.ENOTDIR) {
			next, err = w.follow(name, err)
		} else if err == nil {
			w.rest = w.rest[1:]
		}
		unix.Close(w.fd)
		if err == nil {
			if err = w.inspect(next); err != nil {
				unix.Close(next)
			}
		}
		if err != nil {
			return err
		}
		w.fd = next
	}
	return nil
}

func (w *walk) inspect(fd int) error {
	if w.check == nil {
		return nil
	}
	return w.check(fd)
}

// follow puts the target of a link before the rest of the path, and returns where to
// continue. If name is not a link, the error is notDir.
func (w *walk) follow(name string, notDir error) (fd int, err error) {
	link, err := unix.Openat(w.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(link)
	var st unix.Stat_t
	if err := unix.Fstat(link, &st); err != nil {
		return -1, err
	}
	w.links++
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFLNK:
		return -1, notDir
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return -1, fmt.Errorf("%s is a symbolic link that uid %d made", name, st.Uid)
	case w.links > maxLinks:
		return -1, unix.ELOOP
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", target)
	if err != nil {
		return -1, err
	}
	w.rest = append(elements(string(target[:n])), w.rest[1:]...)
	start := "."
	if strings.HasPrefix(string(target[:n]), "/") {
		start = "/"
	}
	return unix.Openat(w.fd, start, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
