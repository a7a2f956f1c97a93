// Package account maps the numbers of users and groups to names, and back. It suits
// listings with many rows and few owners: each source is read once, when the first name
// is asked for.
//
// The names come from /etc/passwd and /etc/group. If /etc/nsswitch.conf lists other
// sources (LDAP, systemd), getent(1) looks up the ids that the files lack, all that are
// known at that moment in one call. Package os/user uses the C library for this, which
// adds a millisecond to every program start.
package account

import "strconv"

// A Directory looks up names and numbers. It is not safe for concurrent use.
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

// ExpectUser announces that the name of uid will be asked for. It looks nothing up; it
// allows a slow source to be asked for many ids at once.
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
