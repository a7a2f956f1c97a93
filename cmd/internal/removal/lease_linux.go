package removal

import "golang.org/x/sys/unix"

// opened tells whether anybody has a file open or mapped, in whatever namespace they
// are: only of one that nobody has will the kernel give a lease for writing
// (fcntl(2)). It is given back at once; who opens the file at that very moment waits for
// that, or is told EWOULDBLOCK who would not wait. Where the caller may not open the
// file, or may not have a lease, it is not known.
func opened(path string) (is, known bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(fd)
	switch _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err {
	case nil:
		return false, true
	case unix.EAGAIN:
		return true, true
	default:
		return false, false
	}
}
