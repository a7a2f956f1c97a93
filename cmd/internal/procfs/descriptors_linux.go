package procfs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// A Descriptor is an open file of a process.
type Descriptor struct {
	FD     int
	Device Device
	Inode  uint64
}

// Descriptors calls visit for each open file of a process. It calls spend, unless nil,
// after every SpendEvery descriptors listed or inspected, and stops if spend returns an
// error. It requires permission to trace the process.
func (f *FS) Descriptors(pid int, visit func(Descriptor), spend func() error) error {
	name := f.name(pid, "fd")
	dir, err := f.openAs(name, unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fds, err := f.numbersIn(dir, name, spend)
	if err != nil {
		return err
	}
	for i, fd := range fds {
		d, err := f.descriptor(dir, pid, fd)
		switch {
		case err == nil:
			visit(d)
		case !gone(err):
			return err
		} // else it was closed meanwhile
		if spend != nil && (i+1)%SpendEvery == 0 {
			if err := spend(); err != nil {
				return err
			}
		}
	}
	return nil
}

// descriptor returns the file of a descriptor. If the descriptor is closed, the error is
// fs.ErrNotExist. The link decides that: an error of the file itself may mean that its
// server lost it.
func (f *FS) descriptor(dir, pid, fd int) (d Descriptor, err error) {
	link := strconv.Itoa(fd)
	name := f.name(pid, "fd/"+link)
	_, err = f.call("statx", name, func() (_ int, err error) {
		d.Device, d.Inode, err = fileBehind(dir, link)
		return 0, err
	})
	if err != nil {
		if _, e := f.readLink(name); gone(e) {
			return d, e
		}
		return d, &foreignFile{f.root + "/" + name, err}
	}
	d.FD = fd
	return d, nil
}

// fileBehind returns the file that a link leads to. It uses what the kernel has cached,
// since a file server might never answer.
func fileBehind(dir int, link string) (Device, uint64, error) {
	var x unix.Statx_t
	err := unix.Statx(dir, link, unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &x)
	if err == unix.ENOSYS || err == unix.EPERM { // Linux before 4.11, or a seccomp filter of that time
		var st unix.Stat_t
		err = unix.Fstatat(dir, link, &st, 0)
		return DeviceOf(uint64(st.Dev)), st.Ino, err
	}
	return Device{x.Dev_major, x.Dev_minor}, x.Ino, err
}

// A foreignFile is the error for a file that could not be queried. It is never
// fs.ErrNotExist, since the descriptor is open.
type foreignFile struct {
	name string
	err  error
}

func (e *foreignFile) Error() string { return "stat " + e.name + ": " + e.err.Error() }

func (e *foreignFile) Unwrap() error {
	if e.err == unix.ENOENT || e.err == unix.ESRCH {
		return nil
	}
	return e.err
}

// DeviceOf returns the Device for a number from stat(2).
func DeviceOf(dev uint64) Device { return Device{unix.Major(dev), unix.Minor(dev)} }

// Access reports whether a process has a descriptor open for reading, and for writing.
func (f *FS) Access(pid, fd int) (read, write bool, err error) {
	const mayRead, mayWrite = 0o400, 0o200
	st, err := f.stat(f.name(pid, "fd/"+strconv.Itoa(fd)), unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return false, false, err
	}
	return st.Mode&mayRead != 0, st.Mode&mayWrite != 0, nil
}
