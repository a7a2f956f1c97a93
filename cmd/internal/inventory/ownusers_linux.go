package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// OwnUsers returns the user namespace that a caller without CAP_SYS_ADMIN must join to
// enter the place: the one that owns it, if the caller created it or one of its ancestors.
// It is nil if there is none, or if the caller has CAP_SYS_ADMIN. The caller closes it.
func (p Place) OwnUsers() (*os.File, error) {
	if p.Process() == 0 || mayAdminister() {
		return nil, nil
	}
	own, err := ownUserNamespace()
	if err != nil {
		return nil, err
	}
	kind := "ipc"
	if p.isOwn() {
		kind = "mnt"
	}
	file, err := os.Open(fmt.Sprintf("%s/%d/ns/%s", cmp.Or(p.proc, procfs.Root), p.Process(), kind))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	users, err := related(file, unix.NS_GET_USERNS)
	if errors.Is(err, unix.EPERM) { // it is not below this one
		return nil, nil
	}
	if err != nil || !madeByCaller(users, own) {
		if users != nil {
			users.Close()
		}
		return nil, err
	}
	return users, nil
}

// related returns the owner or the parent of a namespace.
func related(file *os.File, request uint) (*os.File, error) {
	fd, err := unix.IoctlRetInt(int(file.Fd()), request)
	if err != nil {
		return nil, &os.PathError{Op: "ioctl", Path: file.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// madeByCaller reports whether the caller created a user namespace or one of its ancestors
// below own, and so has all capabilities in it.
func madeByCaller(users *os.File, own uint64) bool {
	for at := users; ; {
		var st unix.Stat_t
		if unix.Fstat(int(at.Fd()), &st) != nil || st.Ino == own {
			return false
		}
		if owner, err := unix.IoctlGetUint32(int(at.Fd()), unix.NS_GET_OWNER_UID); err == nil && int(owner) == os.Geteuid() {
			return true
		}
		above, err := related(at, unix.NS_GET_PARENT)
		if err != nil {
			return false
		}
		defer above.Close()
		at = above
	}
}

// mayAdminister reports whether the caller has CAP_SYS_ADMIN in its user namespace.
func mayAdminister() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}
