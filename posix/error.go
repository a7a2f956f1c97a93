package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// An Error tells which call failed on which object. It unwraps to the error number
// of the kernel, so errors.Is(err, unix.ENOSPC) works, as do fs.ErrNotExist,
// fs.ErrExist and fs.ErrPermission; a call whose context was done unwraps to the
// context's error.
type Error struct {
	Op   string // the call, such as "shm_open" or "sem_wait"
	Name string // the object's name, or what the memory is
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
	// ErrFault is returned by an access to a page that the kernel does not provide:
	// the object was made shorter, /dev/shm or the pool of huge pages is used up, or
	// Protect forbids it.
	ErrFault = memory.ErrFault
	// ErrPointers is returned by a View of a type that holds Go pointers.
	ErrPointers = memory.ErrPointers
	// ErrAlignment is returned by a View whose address is not aligned for its type.
	ErrAlignment = memory.ErrAlignment
)

var (
	// ErrNotSemaphore is returned where memory or a file holds no semaphore that
	// this process can share.
	ErrNotSemaphore = errors.New("not a semaphore of the GNU C library")
	// ErrNotMounted is returned by Queues where the file system that shows them is
	// not mounted.
	ErrNotMounted = errors.New("no mqueue file system on " + queueDir + " (mount -t mqueue none " + queueDir + ")")
)

// failed makes an *Error of err, nil of nil. What the os package has put around
// the error number, with paths that the caller never gave, is taken off.
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

// refused is EINVAL with the reason, which the kernel would not tell.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", abi.EINVAL, fmt.Sprintf(format, args...))
}

// errnoOrNil turns the error number of a call into an error.
func errnoOrNil(e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func beyond(length, off, size int64) error {
	return fmt.Errorf("%w: %d bytes at offset %d of %d", ErrBounds, length, off, size)
}

// control calls f with the descriptor of file, which stays open meanwhile.
func control(file *os.File, f func(fd uintptr) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if e := conn.Control(func(fd uintptr) { err = f(fd) }); e != nil {
		return fs.ErrClosed // all that it can mean, in words of its own
	}
	return err
}
