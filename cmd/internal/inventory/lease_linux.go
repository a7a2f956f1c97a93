package inventory

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// Opened reports whether any process, in any namespace, has the file of a POSIX object
// open or mapped. The kernel itself says so: it grants a write lease (fcntl(2)) only on a
// file that nobody has open. Opened gives the lease back at once. A process that opens the
// file at that moment waits for this, or gets EWOULDBLOCK if it does not want to wait.
// Opening a file for the lease changes none of its times. known is false if the caller may
// not open the file or have a lease.
//
// Before Linux 5.3 the kernel counted every reference to a file, and each file of a tmpfs
// has one, so a refusal proves nothing there.
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

// countsOpeners reports whether the kernel refuses leases only on open files.
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
