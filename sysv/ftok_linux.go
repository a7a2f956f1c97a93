package sysv

import (
	"io/fs"
	"os"
	"syscall"
)

// fileID returns the device and inode number of the file at path, following links.
func fileID(path string) (dev, ino uint64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrInvalid}
	}
	return uint64(st.Dev), st.Ino, nil
}
