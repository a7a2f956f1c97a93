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

// maxLinks is how many links are followed, as in the kernel.
const maxLinks = 40

// OpenParent opens the directory that path's last element is in, and returns that
// element: "." or ".." if path ends so. A slash at the end is left out.
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
	if errors.Is(err, unix.EACCES) { // a directory that may be passed but not listed
		fd, err = w.fd, nil
	} else {
		unix.Close(w.fd)
	}
	if err != nil {
		return nil, "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), name, nil
}

// OpenDir opens a directory. A link to one is ENOTDIR.
func OpenDir(path string) (*os.File, error) {
	parent, name, err := OpenParent(path)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	return openAt(parent, name, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// Mkdir makes a directory of mode 0700 and opens it, or opens the one that is there.
// What it made is on disk.
func Mkdir(path string) (dir *os.File, made bool, err error) {
	parent, name, err := OpenParent(path)
	if err != nil {
		return nil, false, err
	}
	defer parent.Close()
	switch err := unix.Mkdirat(int(parent.Fd()), name, 0o700); {
	case err == nil:
		made = true
		if err := parent.Sync(); err != nil && !errors.Is(err, unix.EBADF) { // EBADF: not listable
			return nil, true, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, false, &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	dir, err = openAt(parent, name, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return dir, made, err
}

// Rmdir removes an empty directory. If there is something in it that is fs.ErrExist.
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

// OpenAppend opens a file to append to, and makes it with mode 0600 if there is none.
// It has to be a regular file of the caller's with one name, which nobody else may
// write to. It never waits, as opening a FIFO would.
func OpenAppend(path string) (*os.File, error) {
	parent, name, err := OpenParent(path)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	const flags = unix.O_RDWR | unix.O_APPEND | unix.O_CREAT | unix.O_NONBLOCK
	file, err := openAt(parent, name, path, flags, 0o600)
	if errors.Is(err, unix.EACCES) { // one that its owner may not read
		file, err = openAt(parent, name, path, flags&^unix.O_RDWR|unix.O_WRONLY, 0o600)
	}
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a symbolic link")}
	case errors.Is(err, unix.ENXIO): // a FIFO without a reader, a socket
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	case err != nil:
		return nil, err
	}
	if err := checkFile(file); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: path, Err: err}, file.Close())
	}
	return file, nil
}

var errNotRegular = errors.New("it is no regular file")

// checkFile refuses a file that is not the caller's alone.
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
		return fmt.Errorf("others may write to it (mode %04o)", st.Mode&0o7777)
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

// elements returns the elements of a path that lead somewhere.
func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(e string) bool { return e == "" || e == "." })
}

// A walk is on its way along a path.
type walk struct {
	fd    int // of the directory that it has come to
	rest  []string
	links int
}

// from walks to the end. Only if it returns nil is w.fd to be closed.
func (w *walk) from(start string) (err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	if w.fd, err = unix.Open(start, flags, 0); err != nil {
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
		if err != nil {
			return err
		}
		w.fd = next
	}
	return nil
}

// follow puts where a link leads before the rest of the way, and returns where to go
// on from. What is no link is the error notDir.
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
