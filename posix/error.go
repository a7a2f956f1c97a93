package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// An Error says which call failed on which object. It unwraps to the kernel's error
// number, so errors.Is works with unix.ENOSPC, fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission and so on. If a context ended the call, it unwraps to the context's
// error.
type Error struct {
	Op   string // the call, such as "shm_open" or "sem_wait"
	Name string // the name of the object, or a description of the memory
	Err  error
}

func (e *Error) Error() string { return e.Op + " " + e.Name + ": " + e.Err.Error() }

// Unwrap returns the error number, one of the errors below, or the context's error.
func (e *Error) Unwrap() error { return e.Err }

// Errors of memory.
var (
	// ErrUnmapped is returned by every use of a Mapping after Unmap, of a semaphore
	// in it, and of a Semaphore after Close.
	ErrUnmapped = errors.New("memory is not mapped any more")
	// ErrReadOnly is returned by a write through a read-only mapping.
	ErrReadOnly = memory.ErrReadOnly
	// ErrBounds is returned by an access beyond the end of a mapping, and for a
	// mapping beyond the end of its object.
	ErrBounds = memory.ErrBounds
	// ErrFault is returned by an access to a page that the kernel does not provide: the
	// object was truncated, /dev/shm or the pool of huge pages is full, or Protect forbids
	// the access.
	ErrFault = memory.ErrFault
	// ErrPointers is returned by a View of a type that holds Go pointers.
	ErrPointers = memory.ErrPointers
	// ErrAlignment is returned by a View whose address is not aligned for its type.
	ErrAlignment = memory.ErrAlignment
)

var (
	// ErrNotSemaphore is returned if memory or a file holds no semaphore that this process
	// can share.
	ErrNotSemaphore = errors.New("not a semaphore of the GNU C library")
	// ErrNotMounted is returned by Queues if the mqueue file system is not mounted.
	ErrNotMounted = errors.New("no mqueue file system on " + queueDir + " (mount -t mqueue none " + queueDir + ")")
)

// failed returns the *Error for err, or nil if err is nil. It removes what the os package
// wraps around the error number, which names paths that the caller never gave.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Name: name, Err: bare(err)}
}

func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	default:
		return err
	}
}

// refused returns EINVAL with the reason, which the kernel does not report.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", abi.EINVAL, fmt.Sprintf(format, args...))
}

// errnoOrNil converts an error number to an error, and 0 to nil.
func errnoOrNil(e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func beyond(length, off, size int64) error {
	return fmt.Errorf("%w: %d bytes at offset %d of %d", ErrBounds, length, off, size)
}

// control calls f with the descriptor of file, which stays open during the call.
func control(file *os.File, f func(fd uintptr) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if e := conn.Control(func(fd uintptr) { err = f(fd) }); e != nil {
		return fs.ErrClosed // its only meaning; the os package words it differently
	}
	return err
}
