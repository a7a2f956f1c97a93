package procfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Fault intercepts each system call of an FS. call is openat, read, pread,
// readlinkat, fstatat, statx, getdents, ioctl, kcmp or kill, and name is the file below
// the root. If err is not nil the call fails with it. If contents is not nil it
// replaces everything that a read would return. Clones may call a Fault concurrently.
type Fault func(call, name string) (contents []byte, err error)

// Interpose installs a Fault for f and for its future clones. Tests use it to check
// that an unreadable file never looks like an absent one.
func (f *FS) Interpose(fault Fault) { f.fault = fault }

// call makes a system call and repeats it if a signal interrupts it, up to a limit.
func (f *FS) call(name, file string, do func() (int, error)) (n int, err error) {
	const tries = 100
	for range tries {
		err = nil
		if f.fault != nil {
			_, err = f.fault(name, file)
		}
		if err == nil {
			n, err = do()
		}
		if err != unix.EINTR {
			break
		}
	}
	return n, err
}

// failure returns the documented error: fs.ErrNotExist if the process ended while it was
// inspected.
func (f *FS) failure(op, name string, err error) error {
	if err == unix.ESRCH {
		err = unix.ENOENT
	}
	return &fs.PathError{Op: op, Path: f.root + "/" + name, Err: err}
}

func (f *FS) open(name string) (int, error) { return f.openAs(name, 0) }

func (f *FS) openAs(name string, flags int) (int, error) {
	fd, err := f.call("openat", name, func() (int, error) {
		return unix.Openat(int(f.dir.Fd()), name, flags|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, f.failure("open", name, err)
	}
	return fd, nil
}

// A reader reads from a file descriptor. os.File would register it with the poller,
// which costs much of the time for such small files.
type reader struct {
	f    *FS
	fd   int
	name string
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.f.call("read", r.name, func() (int, error) { return unix.Read(r.fd, p) })
	switch {
	case err != nil:
		return 0, r.f.failure("read", r.name, err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// read returns the contents of a file, at most limit bytes. They are valid until the
// next call.
func (f *FS) read(name string, limit int) ([]byte, error) {
	fd, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if f.fault != nil {
		if contents, err := f.fault("read", name); contents != nil && err == nil {
			return contents, nil
		}
	}
	r := reader{f, fd, name}
	have := 0
	for have < limit {
		if have == len(f.buf) {
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
		n, err := r.Read(f.buf[have:min(len(f.buf), limit)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		have += n
	}
	return f.buf[:have], nil
}

// Limits for what is read into memory. Argument lists may be long, and the kernel's
// tables grow with the number of objects.
const (
	smallFile = 64 << 10
	largeFile = 64 << 20
)

func (f *FS) readLink(name string) (string, error) {
	n, err := f.call("readlinkat", name, func() (int, error) {
		return unix.Readlinkat(int(f.dir.Fd()), name, f.buf)
	})
	if err != nil {
		return "", f.failure("readlink", name, err)
	}
	return string(f.buf[:n]), nil
}

func (f *FS) stat(name string, flags int) (st unix.Stat_t, err error) {
	_, err = f.call("fstatat", name, func() (int, error) {
		return 0, unix.Fstatat(int(f.dir.Fd()), name, &st, flags)
	})
	if err != nil {
		err = f.failure("stat", name, err)
	}
	return st, err
}

// numbers returns the entries of a directory that are numbers, in ascending order;
// after an error it returns none. It calls spend, unless nil, after every SpendEvery
// entries.
func (f *FS) numbers(name string, spend func() error) ([]int, error) {
	fd, err := f.openAs(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return f.numbersIn(fd, name, spend)
}

func (f *FS) numbersIn(fd int, name string, spend func() error) (list []int, err error) {
	buf := make([]byte, 4<<10) // about SpendEvery entries
	var names []string
	for {
		n, err := f.call("getdents", name, func() (int, error) { return unix.ReadDirent(fd, buf) })
		if err != nil {
			return nil, f.failure("readdirent", name, err)
		}
		if n == 0 {
			break
		}
		before := len(list)
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, entry := range names {
			if n, ok := number([]byte(entry)); ok && n <= 1<<31-1 {
				list = append(list, int(n))
			}
		}
		if spend != nil && len(list)/SpendEvery > before/SpendEvery {
			if err := spend(); err != nil {
				return nil, err
			}
		}
	}
	if !slices.IsSorted(list) {
		slices.Sort(list)
	}
	return list, nil
}

// Exists reports whether there may be a process or thread with this id, even one that f
// does not show because proc is mounted with hidepid. Only two errors prove that there
// is none.
func (f *FS) Exists(pid int) bool {
	name := strconv.Itoa(pid)
	if _, err := f.stat(name, 0); !gone(err) {
		return true
	}
	if !f.real {
		return false
	}
	_, err := f.call("kill", name, func() (int, error) { return 0, unix.Kill(pid, 0) })
	return err != unix.ESRCH
}

// gone reports whether err means that something does not exist.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
