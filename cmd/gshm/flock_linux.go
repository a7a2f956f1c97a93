package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock of a file (flock(2)) unless somebody has it.
func lockFile(f *os.File) (unlock func(), ok bool, err error) {
	fd := int(f.Fd())
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, false, nil
	}
	return func() { _ = unix.Flock(fd, unix.LOCK_UN) }, err == nil, err
}
