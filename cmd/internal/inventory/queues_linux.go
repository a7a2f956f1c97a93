package inventory

import "golang.org/x/sys/unix"

// showsForeign reports whether /dev/mqueue is known to show another IPC namespace than
// the caller's. The kernel has one mqueue file system for each IPC namespace.
func showsForeign() bool {
	var shown unix.Stat_t
	if unix.Stat(devMqueue, &shown) != nil {
		return false
	}
	device, known := queueDevice()
	return known && device != uint64(shown.Dev)
}

// queueDevice returns the device of the mqueue file system of the caller's IPC namespace.
// It mounts that without attaching it anywhere, which needs CAP_SYS_ADMIN.
func queueDevice() (device uint64, known bool) {
	context, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, false
	}
	defer unix.Close(context)
	if unix.FsconfigCreate(context) != nil {
		return 0, false
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(mount)
	var st unix.Stat_t
	err = unix.Fstat(mount, &st)
	return uint64(st.Dev), err == nil
}
