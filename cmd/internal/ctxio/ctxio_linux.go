package ctxio

import (
	"errors"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// tick is how often an idle Read calls its function.
const tick = 150 * time.Millisecond

// most is Linux's limit for one read or write, on every architecture.
const most = 1<<31 - 4096

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	fd := int(r.file.Fd())
	for len(p) > 0 {
		ready := false
		err := interrupt.Do(r.ctx, func() (e abi.Errno) {
			ready, e = poll(fd, unix.POLLIN, tick)
			return e
		})
		switch {
		case err != nil:
			return 0, r.failed(err)
		case !ready && r.idle != nil:
			if err := r.idle(); err != nil {
				return 0, err
			}
		}
		if !ready {
			continue
		}
		n, err := unix.Read(fd, p[:min(len(p), most)])
		switch {
		case again(err): // another process has read it
		case err != nil:
			return 0, r.failed(err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
	return 0, nil
}

func (r *Reader) failed(err error) error { return failed(r.ctx.Err(), "read", r.file.Name(), err) }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (done int, err error) {
	fd := int(w.file.Fd())
	for done < len(p) {
		err := interrupt.Do(w.ctx, func() abi.Errno {
			if ready, e := poll(fd, unix.POLLOUT, tick); !ready || e != 0 {
				return e
			}
			rest := p[done:]
			n, err := unix.Write(fd, rest[:min(len(rest), most)])
			if again(err) {
				return 0
			}
			done += max(n, 0)
			return errnoOf(err)
		})
		if err != nil {
			return done, failed(w.ctx.Err(), "write", w.file.Name(), err)
		}
	}
	return done, nil
}

// poll waits until one of events or an error is pending, for at most timeout.
func poll(fd int, events int16, timeout time.Duration) (ready bool, e abi.Errno) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(fds, int(timeout.Milliseconds()))
	return n > 0, errnoOf(err)
}

// again reports whether the call must be repeated.
func again(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }

// errnoOf returns the error number of a call.
func errnoOf(err error) (e abi.Errno) {
	_ = errors.As(err, &e) // 0 if err is nil
	return e
}

// failed returns the error of a call on a file, or ended if that is the cause.
func failed(ended error, op, name string, err error) error {
	if ended != nil && errors.Is(err, ended) {
		return ended
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
