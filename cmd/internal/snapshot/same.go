package snapshot

import "github.com/sysvipc/gipc/cmd/internal/ref"

// An identity is what two lines must have in common to be the same object: the identifier
// of a System V object, or the name and inode number of a POSIX object. File systems in
// memory do not reuse the inode number of a removed file.
type identity struct {
	ref.Object
	inode int64
}

func (o *Object) identity() identity {
	if !o.Kind.POSIX() {
		return identity{o.Object, 0}
	}
	return identity{o.Object, o.numbers[inode]}
}

// A matcher decides whether two lines of one boot and one IPC namespace are the same object.
type matcher struct {
	// users and pids say that both snapshots number users and processes alike, since they
	// were taken in the same user and PID namespace.
	users, pids bool
}

// same reports whether before and after, which have the same identity, are the same object.
//
// An identifier is reused after 65,536 objects were created in its slot, or at once if a
// program asks for it (sysctl kernel.shm_next_id). The kernel gives objects no other
// identity, so same looks at what cannot change, and at times:
//
//   - Key, creator, size and number of semaphores never change, except that a segment that
//     is marked for removal loses its key.
//   - A time of last use is kept until the next use. A new object begins with none.
//   - The time of the last change is the time of creation, unless IPC_SET changed it or,
//     for a set, SETVAL or SETALL.
func (m matcher) same(before, after *Object) bool {
	if after.Kind.POSIX() {
		return true
	}
	if m.otherOrigin(before, after) {
		return false
	}
	if !differ(before, after, ctime) {
		return true
	}
	kept := false
	for _, n := range []number{atime, dtime, otime, stime, rtime} {
		then, was := before.number(n)
		now, is := after.number(n)
		if was && (!is || now < then) {
			return false
		}
		kept = kept || was && now == then
	}
	return kept || couldChange(before, after)
}

// otherOrigin reports whether something differs that never changes in the life of an
// object.
func (m matcher) otherOrigin(before, after *Object) bool {
	switch after.Kind {
	case ref.Shm:
		if differ(before, after, size) || m.pids && differ(before, after, cpid) {
			return true
		}
	case ref.Sem:
		if differ(before, after, nsems) {
			return true
		}
	}
	if m.users && (differ(before, after, cuid) || differ(before, after, cgid)) {
		return true
	}
	k, _ := after.number(key)
	return differ(before, after, key) && (after.Kind != ref.Shm || k != 0)
}

// couldChange reports whether the time of last change may be newer because the object was
// changed.
func couldChange(before, after *Object) bool {
	if after.Kind == ref.Sem { // SETVAL leaves no other trace
		return true
	}
	for _, n := range []number{uid, gid, mode, qbytes} {
		if differ(before, after, n) {
			return true
		}
	}
	return false
}

// differ reports whether a field is known in both and differs.
func differ(a, b *Object, n number) bool {
	x, inA := a.number(n)
	y, inB := b.number(n)
	return inA && inB && x != y
}
