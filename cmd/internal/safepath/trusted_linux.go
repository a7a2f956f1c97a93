package safepath

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenTrusted opens a file for reading that only root and the caller can have written.
// The file and every directory on the path must belong to one of them. No other user may
// be able to write to the file or its directory; a directory above may be sticky, like
// /tmp, in which other users can replace nothing. It does not follow a link at the end.
func OpenTrusted(path string) (*os.File, error) {
	if path == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	name, w := ".", &walk{rest: elements(path), check: checkDir}
	if n := len(w.rest); n > 0 {
		name, w.rest = w.rest[n-1], w.rest[:n-1]
	}
	start := "."
	if strings.HasPrefix(path, "/") {
		start = "/"
	}
	if err := w.from(start); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	dir := os.NewFile(uintptr(w.fd), path)
	defer dir.Close()
	file, err := openAt(dir, name, path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a symbolic link")}
	}
	if err != nil {
		return nil, err
	}
	if err := checkTrusted(file, int(dir.Fd())); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: path, Err: err}, file.Close())
	}
	return file, nil
}

// checkTrusted returns an error if another user may have written the file, or may replace
// it in its directory.
func checkTrusted(f *os.File, dir int) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotRegular
	}
	if err := cmp.Or(trusted(&st), closed(&st)); err != nil {
		return err
	}
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	if err := closed(&st); err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	return nil
}
