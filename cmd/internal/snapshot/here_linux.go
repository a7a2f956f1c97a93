package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Here returns the header of a snapshot that the calling thread takes now, without the
// fields that depend on the objects.
func Here() (*Header, error) {
	h := &Header{Taken: time.Now(), UID: uint32(os.Geteuid())}
	var since unix.Timespec
	err := os.NewSyscallError("clock_gettime", unix.ClockGettime(unix.CLOCK_BOOTTIME, &since))
	if err != nil {
		return nil, err
	}
	h.Uptime = time.Duration(since.Nano())
	if h.Host, err = os.Hostname(); err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, noIdentity(err)
	}
	h.BootID = strings.TrimSpace(string(boot))
	h.Namespace, err = inodeOf("/proc/thread-self/ns/ipc")
	if errors.Is(err, fs.ErrNotExist) { // Linux before 3.17
		h.Namespace, err = inodeOf("/proc/self/ns/ipc")
	}
	if err != nil {
		return nil, noIdentity(err)
	}
	h.PIDNamespace, _ = inodeOf("/proc/self/ns/pid") // unknown before Linux 3.8
	h.UserNamespace, _ = inodeOf("/proc/self/ns/user")
	var shm unix.Stat_t
	if unix.Stat("/dev/shm", &shm) == nil {
		h.ShmDevice = uint64(shm.Dev)
	}
	return h, nil
}

// noIdentity is the error for a snapshot that could not be compared with any other.
func noIdentity(err error) error {
	return fmt.Errorf("a snapshot needs the ids of the boot and of the IPC namespace: %w", err)
}

func inodeOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}
