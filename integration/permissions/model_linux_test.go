package permissions_test

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Users and groups of the objects, and of the processes that try to use them.
const (
	root     = 0
	owner    = 1001
	creator  = 1002 // of System V objects, which it gave to owner
	stranger = 2000

	ownerGroup    = 1101
	creatorGroup  = 1102
	strangerGroup = 2100
)

// Permission bits of one class of users.
const (
	r = 4
	w = 2
	x = 1
)

// An identity is a process's user, groups and capabilities.
type identity struct {
	uid, gid int
	groups   []int
	caps     []int // all effective capabilities
}

func (i identity) in(group int) bool { return i.gid == group || slices.Contains(i.groups, group) }
func (i identity) can(c int) bool    { return slices.Contains(i.caps, c) }

// A rule returns the error with which the kernel refuses an identity an operation on
// objects of a mode, or 0.
type rule func(i identity, mode int) unix.Errno

// bits is the rule of svipc(7): the mode's bits for the first class that matches. Owner
// and creator are one class, and their groups another.
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

// control is the rule for IPC_SET and IPC_RMID, independent of the mode.
func control(i identity, _ int) unix.Errno {
	if i.uid == owner || i.uid == creator || i.can(unix.CAP_SYS_ADMIN) {
		return 0
	}
	return unix.EPERM
}

// lock is the rule for SHM_LOCK and SHM_UNLOCK.
func lock(i identity, _ int) unix.Errno {
	if i.uid == owner || i.uid == creator || i.can(unix.CAP_IPC_LOCK) {
		return 0
	}
	return unix.EPERM
}

// file is the rule of path_resolution(7): POSIX objects have only an owner and a group.
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

// fileOwner is the rule for changing a file's mode, and for unlinking it from a sticky
// directory of root.
func fileOwner(i identity, _ int) unix.Errno {
	if i.uid == owner || i.can(unix.CAP_FOWNER) {
		return 0
	}
	return unix.EPERM
}

// unlink is the rule for unlinking: the directory's owner may, otherwise fileOwner decides.
func unlink(i identity, mode int) unix.Errno {
	if i.uid == root {
		return 0
	}
	return fileOwner(i, mode)
}
