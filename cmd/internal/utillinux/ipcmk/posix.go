package ipcmk

import (
	"io"
	"math"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
)

// The functions that make POSIX objects return the name. A name that is taken is an
// error, since its object belongs to somebody else.

func (r *request) createObject() (string, error) {
	if r.objectSize > math.MaxInt64 {
		return "", syscall.EINVAL
	}
	o, err := posix.CreateObject(r.name, int64(r.objectSize), &posix.ObjectOptions{Mode: sysvipc.Mode(r.mode)})
	return r.made(o, err)
}

func (r *request) createMqueue() (string, error) {
	q, err := posix.CreateQueue(r.name, &posix.QueueOptions{Mode: sysvipc.Mode(r.mode)})
	return r.made(q, err)
}

func (r *request) createSemaphore() (string, error) {
	s, err := posix.CreateSemaphore(r.name, 0, &posix.SemaphoreOptions{Mode: sysvipc.Mode(r.mode)})
	return r.made(s, err)
}

// made closes the new object, which continues to exist.
func (r *request) made(object io.Closer, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return r.name, object.Close()
}
