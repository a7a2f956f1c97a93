package permissions_test

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Users and groups of the objects, and of those who try to use them.
const (
	root     = 0
	owner    = 1001
	creator  = 1002 // of System V objects; it gave them to the owner
	stranger = 2000

	ownerGroup    = 1101
	creatorGroup  = 1102
	strangerGroup = 2100
)

// Permission bits of a class of users.
const (
	r = 4
	w = 2
	x = 1
)

// An identity is who a process is to the kernel.
type identity struct {
	uid, gid int
	groups   []int
	caps     []int // capabilities in effect, no others
}

func (i identity) in(group int) bool { return i.gid == group || slices.Contains(i.groups, group) }
func (i identity) can(c int) bool    { return slices.Contains(i.caps, c) }

// A rule says with which error the kernel refuses an identity something of objects of
// a mode; 0 is that it does not.
type rule func(i identity, mode int) unix.Errno

// bits is svipc(7): what the mode grants to the first class that fits. Owner and
// creator are one class, and their groups another.
func bits(needs int) rule {
	return func(i identity, mode int) unix.Errno {
		granted := mode
		switch {
		case i.uid == owner || i.uid == creator:
			granted = mode >> 6
		case i.in(ownerGroup) || i.in(creatorGroup):
			granted = mode >> 3
		}
		if needs&^granted&7 != 0 && !i.can(unix.CAP_IPC_OWNER) {
			return unix.EACCES
		}
		return 0
	}
}

// control is who may do IPC_SET and IPC_RMID, whatever the mode.
func control(i identity, _ int) unix.Errno {
	if i.uid == owner || i.uid == creator || i.can(unix.CAP_SYS_ADMIN) {
		return 0
	}
	return unix.EPERM
}

// lock is who may do SHM_LOCK and SHM_UNLOCK.
func lock(i identity, _ int) unix.Errno {
	if i.uid == owner || i.uid == creator || i.can(unix.CAP_IPC_LOCK) {
		return 0
	}
	return unix.EPERM
}

// file is path_resolution(7): POSIX objects have an owner and a group only.
func file(needs int) rule {
	return func(i identity, mode int) unix.Errno {
		granted := mode
		switch {
		case i.uid == owner:
			granted = mode >> 6
		case i.in(ownerGroup):
			granted = mode >> 3
		}
		if needs&^granted&7 == 0 || i.can(unix.CAP_DAC_OVERRIDE) || needs == r && i.can(unix.CAP_DAC_READ_SEARCH) {
			return 0
		}
		return unix.EACCES
	}
}

// fileOwner is who may change the mode of a file, and unlink one in a directory of
// root that is sticky.
func fileOwner(i identity, _ int) unix.Errno {
	if i.uid == owner || i.can(unix.CAP_FOWNER) {
		return 0
	}
	return unix.EPERM
}

// unlink is fileOwner, or to be the owner of the directory.
func unlink(i identity, mode int) unix.Errno {
	if i.uid == root {
		return 0
	}
	return fileOwner(i, mode)
}
