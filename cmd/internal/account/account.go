// Package account finds the names of users and groups by their numbers, for
// listings with many rows and few owners: each source is read once, when a name
// is first asked for, and never if none is. It finds numbers by names, too.
//
// The names come from /etc/passwd and /etc/group. Where /etc/nsswitch.conf names
// more sources than those files (LDAP, systemd), the ids that the files do not
// have are asked of getent(1), all that are known at that moment in one call. Package
// os/user does the same by way of the C library, which takes a millisecond at every
// start of a program.
package account

import "strconv"

// Directory looks names up. It is not safe for use by several goroutines at once.
type Directory struct {
	users  database
	groups database
}

// New returns a Directory of the system's accounts.
func New() *Directory {
	const sources = "/etc/nsswitch.conf"
	return &Directory{
		users:  database{name: "passwd", path: "/etc/passwd", sources: sources, parse: ParsePasswd},
		groups: database{name: "group", path: "/etc/group", sources: sources, parse: ParseGroup},
	}
}

// ExpectUser says that the name of uid will be asked for. Nothing is looked up
// yet; it lets a slow source be asked for many ids at once.
func (d *Directory) ExpectUser(uid uint32) { d.users.expect(uid) }

// ExpectGroup is ExpectUser for a group.
func (d *Directory) ExpectGroup(gid uint32) { d.groups.expect(gid) }

// User returns the name of uid, false if it has none.
func (d *Directory) User(uid uint32) (name string, ok bool) { return d.users.lookup(uid) }

// Group returns the name of gid, false if it has none.
func (d *Directory) Group(gid uint32) (name string, ok bool) { return d.groups.lookup(gid) }

// UserOrID returns the name of uid, or its number if it has none.
func (d *Directory) UserOrID(uid uint32) string { return d.users.nameOrID(uid) }

// GroupOrID returns the name of gid, or its number if it has none.
func (d *Directory) GroupOrID(gid uint32) string { return d.groups.nameOrID(gid) }

// UserID returns the number of the user called name, false if there is none.
func (d *Directory) UserID(name string) (uid uint32, ok bool) { return d.users.idOf(name) }

// GroupID returns the number of the group called name, false if there is none.
func (d *Directory) GroupID(name string) (gid uint32, ok bool) { return d.groups.idOf(name) }

func (b *database) nameOrID(id uint32) string {
	if name, ok := b.lookup(id); ok {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}
