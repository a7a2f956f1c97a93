package removal

import "golang.org/x/sys/unix"

// mayRemoveAll reports whether the caller has CAP_SYS_ADMIN. Only trying
// a removal shows whether that capability counts in the objects' namespace.
func mayRemoveAll() bool { return capable(unix.CAP_SYS_ADMIN) }

// mayUnlinkAll reports whether the caller has CAP_FOWNER, which allows removing other
// users' files from sticky directories.
func mayUnlinkAll() bool { return capable(unix.CAP_FOWNER) }

func capable(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return true
	}
	return data[0].Effective&(1<<capability) != 0
}
