package inventory

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// Opened reports whether any process has the file of a POSIX object open or mapped, in
// whatever namespace it is. That is the kernel's own word: only of a file that nobody
// has open will it give a lease for writing (fcntl(2)). The lease is given back at
// once; a process that opens the file at that very moment waits for that, or gets
// EWOULDBLOCK if it would not wait. Opening a file for this changes none of its times.
// It is not known where the caller may not open the file, or may not have a lease.
//
// Before Linux 5.3 the kernel counted every reference to a file, of which each file of a
// tmpfs has one, so that a refusal proves nothing.
func Opened(o ref.Object) (is, known bool) {
	fd, err := unix.Open(path(o), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(fd)
	switch _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err {
	case nil:
		return false, true
	case unix.EAGAIN:
		return countsOpeners(), countsOpeners()
	default:
		return false, false
	}
}

// countsOpeners reports whether the kernel refuses leases only of files that are open.
func countsOpeners() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 3)
}

// path returns the path of a POSIX object's file.
func path(o ref.Object) string {
	switch o.Kind {
	case ref.PShm:
		return "/dev/shm" + o.Name
	case ref.PSem:
		return "/dev/shm/sem." + o.Name[1:]
	default:
		return "/dev/mqueue" + o.Name
	}
}
