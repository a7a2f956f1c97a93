package shmring

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
)

// duplicate returns the same object with a descriptor of its own, which other programs do
// not inherit.
func duplicate(object *posix.Object) (*posix.Object, error) {
	conn, err := object.File().SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("shmring: %w", err)
	}
	var fd int
	if conn.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) }) != nil {
		err = os.ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("shmring: duplicate the descriptor: %w", err)
	}
	own, err := posix.Inherit(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return own, nil
}
