package removal

import "golang.org/x/sys/unix"

// mayRemoveAll tells whether the caller has CAP_SYS_ADMIN. That it is worth
// something in the namespace of the objects only trying can tell.
func mayRemoveAll() bool { return capable(unix.CAP_SYS_ADMIN) }

// mayUnlinkAll tells whether the caller has CAP_FOWNER, by which it may remove the files
// of others from directories that are sticky.
func mayUnlinkAll() bool { return capable(unix.CAP_FOWNER) }

func capable(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return true
	}
	return data[0].Effective&(1<<capability) != 0
}
