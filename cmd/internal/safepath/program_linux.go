package safepath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// CheckProgram returns an error unless only root and the caller can decide what an absolute
// path runs: they own the file and every directory on the way to it, also through symbolic
// links, and nobody else may write there. In a sticky directory such as /tmp, other users
// cannot replace files that they do not own.
func CheckProgram(path string) error {
	if err := checkProgram(path); err != nil {
		return &fs.PathError{Op: "run", Path: path, Err: err}
	}
	return nil
}

func checkProgram(path string) error {
	for range maxLinks {
		w := &walk{rest: elements(path), check: checkDir}
		if len(w.rest) == 0 {
			return errNotRegular
		}
		name := w.rest[len(w.rest)-1]
		w.rest = w.rest[:len(w.rest)-1]
		if err := w.from("/"); err != nil {
			return err
		}
		target, err := w.last(name)
		unix.Close(w.fd)
		if err != nil || target == "" {
			return err
		}
		if !strings.HasPrefix(target, "/") {
			target = path[:strings.LastIndexByte(path, '/')+1] + target // not cleaned: .. may follow a link
		}
		path = target
	}
	return unix.ELOOP
}

// last checks the last element of a path, and returns the target if it is a link.
func (w *walk) last(name string) (target string, err error) {
	fd, err := unix.Openat(w.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		if err := trusted(&st); err != nil {
			return "", fmt.Errorf("%s is a link: %w", name, err)
		}
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(fd, "", buf)
		return string(buf[:max(n, 0)]), err
	case unix.S_IFREG:
		return "", errors.Join(trusted(&st), closed(&st))
	default:
		return "", errNotRegular
	}
}

// checkDir checks a directory on the path to a program.
func checkDir(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	err := trusted(&st)
	if err == nil && st.Mode&unix.S_ISVTX == 0 {
		err = closed(&st)
	}
	if err != nil {
		name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) // "" without /proc
		return fmt.Errorf("directory %s: %w", name, err)
	}
	return nil
}

// trusted returns an error unless root or the caller is the owner.
func trusted(st *unix.Stat_t) error {
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("uid %d owns it", st.Uid)
	}
	return nil
}

// closed returns an error if other users may write. The group root counts as root.
func closed(st *unix.Stat_t) error {
	if st.Mode&0o002 != 0 || st.Mode&0o020 != 0 && st.Gid != 0 {
		return fmt.Errorf("other users may write to it (mode %04o)", st.Mode&0o7777)
	}
	return nil
}
