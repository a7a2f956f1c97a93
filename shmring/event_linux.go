package shmring

import (
	"errors"

	"golang.org/x/sys/unix"
)

// An event is the descriptor of an eventfd(2).
type event int

func newEvent() (event, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return event(fd), err
}

// set makes the descriptor readable.
func (e event) set() error {
	_, err := unix.Write(int(e), []byte{1, 1, 1, 1, 1, 1, 1, 1}) // a number, in any byte order
	return err
}

// clear makes it unreadable again, unless the program has read it already.
func (e event) clear() error {
	var b [8]byte
	if _, err := unix.Read(int(e), b[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	return nil
}

func (e event) close() error { return unix.Close(int(e)) }
