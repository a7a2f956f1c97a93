//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A namedPlace is the name of a POSIX object, with its slash.
type namedPlace string

func (p namedPlace) find() (object, error) {
	_, err := posix.StatObject(string(p))
	return named(p), named(p).explain(err)
}

func (p namedPlace) create(c creation) (object, bool, error) {
	switch {
	case c.huge != 0:
		return nil, false, command.Usagef("--huge: a POSIX object is in /dev/shm, which has ordinary pages; a segment can have huge ones")
	case c.lock:
		return nil, false, command.Usage(errLock)
	}
	o := named(p)
	err := o.make(c)
	if errors.Is(err, fs.ErrExist) && !c.exclusive {
		return o, false, o.explain(o.fits(c))
	}
	return o, err == nil, o.explain(err)
}

func (namedPlace) mayAppear() bool { return true }

func (namedPlace) columns() []render.Column {
	return columnsOf("name", "uid", "gid", "mode", "size", "memory", "dev", "ino", "nlink", "atime", "mtime", "ctime")
}

// A named is a POSIX object.
type named string

func (n named) String() string { return "object " + string(n) }

func (n named) ref() string { return string(n) }

// make makes the object. It gets the mode that was asked for whatever the umask, as a
// segment does.
func (n named) make(c creation) error {
	if !c.noReserve {
		if err := n.holds(c.size); err != nil {
			return err
		}
	}
	file, err := posix.CreateObject(string(n), c.size, &posix.ObjectOptions{Mode: sysvipc.Mode(c.mode), Reserve: c.populate || c.reserve})
	if err != nil {
		return n.full(err, c.size)
	}
	err = errors.Join(file.Chmod(c.mode), file.Close())
	if err != nil { // nothing half-made stays
		err = errors.Join(err, posix.UnlinkObject(string(n)))
	}
	return err
}

// holds tells why /dev/shm can not hold another size bytes.
func (n named) holds(size int64) error {
	usage, err := posix.ShmUsage()
	if err != nil || usage.Size == 0 || uint64(size) <= usage.Free {
		return err
	}
	if _, err := posix.StatObject(string(n)); err == nil { // it need not be made
		return fs.ErrExist
	}
	return errFull(size, usage)
}

// full says what else there is to an error that says that /dev/shm is full.
func (n named) full(err error, size int64) error {
	usage, errUsage := posix.ShmUsage()
	if errUsage != nil || !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return errFull(size, usage)
}

func errFull(size int64, u posix.Usage) error {
	return fmt.Errorf("/dev/shm can not hold %d bytes: it has %d, of which %d are free (mount -o remount,size=SIZE /dev/shm makes it larger)", size, u.Size, u.Free)
}

// fits tells whether the object that is there will do for what was to be made.
func (n named) fits(c creation) error {
	access := posix.ReadWrite
	if c.mode&0o222 == 0 && !c.populate {
		access = posix.ReadOnly
	}
	file, err := posix.OpenObject(string(n), access)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	switch {
	case err != nil:
		return err
	case size < c.size:
		return fmt.Errorf("%v has %d bytes, less than the %d asked for", n, size, c.size)
	case c.populate:
		return n.full(file.Reserve(size), size)
	}
	return nil
}

func (n named) attach(o attachOptions) (mapping, error) {
	access, prot := posix.ReadWrite, posix.Prot(0)
	if o.readOnly {
		access, prot = posix.ReadOnly, posix.ProtRead
	}
	file, err := posix.OpenObject(string(n), access)
	if err != nil {
		return nil, n.explain(err)
	}
	mem, err := file.Map(&posix.MapOptions{Prot: prot, Addr: o.addr})
	if err != nil {
		return nil, errors.Join(n.badMapping(err, file, o.addr), file.Close())
	}
	return populated(namedMapping{mem, n, file}, n, o)
}

// badMapping explains why an object can not be mapped.
func (n named) badMapping(err error, file *posix.Object, addr uintptr) error {
	switch size, sizeErr := file.Size(); {
	case sizeErr == nil && size == 0:
		return fmt.Errorf("%v is empty: there is nothing to attach", n)
	case addr != 0 && !errors.Is(err, fs.ErrPermission):
		return errAddress(n, addr)
	}
	return n.explain(err)
}

func (n named) stat() ([]render.Cell, error) {
	i, err := posix.StatObject(string(n))
	if err != nil {
		return nil, n.explain(err)
	}
	return []render.Cell{
		render.Text(i.Name), render.Uint(uint64(i.UID)), render.Uint(uint64(i.GID)), render.Octal(uint64(i.Mode), 4),
		render.Size(uint64(i.Size)), render.Size(uint64(i.Memory)), render.Uint(i.Dev), render.Uint(i.Ino), render.Uint(i.Links),
		render.Time(i.ATime), render.Time(i.MTime), render.Time(i.CTime),
	}, nil
}

func (n named) state() (state, error) {
	info, err := posix.StatObject(string(n))
	return fileState(info), n.explain(err)
}

func fileState(info posix.FileInfo) state {
	return state{mode: info.Mode, changed: info.CTime, owners: []uint32{info.UID}}
}

func (n named) set(change func(*sysv.Ownership)) error {
	file, err := posix.OpenObject(string(n), posix.ReadOnly)
	if err != nil {
		return n.explain(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	old := sysv.Ownership{UID: info.UID, GID: info.GID, Mode: info.Mode}
	owner := old
	change(&owner)
	if owner.Mode != old.Mode {
		err = file.Chmod(owner.Mode)
	}
	if err == nil && (owner.UID != old.UID || owner.GID != old.GID) {
		err = file.Chown(int(owner.UID), int(owner.GID))
	}
	return n.explain(err)
}

var errLock = errors.New("a POSIX object can not be locked as a segment can (SHM_LOCK): mlock(2) holds for as long as a process has it mapped")

func (n named) remove() error { return n.explain(posix.UnlinkObject(string(n))) }

// explain says in a sentence what an error means for the object.
func (n named) explain(err error) error {
	var failed *posix.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return explained{err, "there is no POSIX " + n.String()}
	case errors.Is(err, fs.ErrExist):
		return explained{err, "POSIX " + n.String() + " exists already"}
	case errors.As(err, &failed) && errors.Is(err, fs.ErrPermission) && failed.Op == "fchown":
		return explained{err, "only root (CAP_CHOWN) may give POSIX " + n.String() + " to another user, or to a group that is not its owner's"}
	case errors.As(err, &failed) && errors.Is(err, fs.ErrPermission):
		return explained{err, "permission denied: POSIX " + n.String() + n.owner()}
	case errors.Is(err, posix.ErrFault):
		return explained{err, fmt.Sprintf("%v: a page is not there: it was made shorter meanwhile, or /dev/shm is full", n)}
	case errors.As(err, &failed) && errors.Is(err, syscall.EINVAL) && failed.Op == "stat":
		return explained{err, fmt.Sprintf("%v is no regular file", n)}
	}
	return err
}

func (n named) owner() string {
	info, err := posix.StatObject(string(n))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" belongs to uid %d, its mode is %04o, you are uid %d", info.UID, uint32(info.Mode), os.Geteuid())
}

// explained is an error with a sentence that says it all.
type explained struct {
	error
	sentence string
}

func (e explained) Error() string { return e.sentence }

func (e explained) Unwrap() error { return e.error }

// A namedMapping is a POSIX object in the memory of this process. The file stays open
// so that it can be told from another one of its name.
type namedMapping struct {
	*posix.Mapping
	object named
	file   *posix.Object
}

func (m namedMapping) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.Mapping.ReadAt(p, off)
	return n, m.object.explain(err)
}

func (m namedMapping) WriteAt(p []byte, off int64) (int, error) {
	n, err := m.Mapping.WriteAt(p, off)
	return n, m.object.explain(err)
}

func (m namedMapping) Detach() error { return errors.Join(m.Unmap(), m.file.Close()) }

func (m namedMapping) state() (state, error) {
	info, err := m.file.Stat()
	return fileState(info), m.object.explain(err)
}

// discard removes the name if it still is that of this object. The lock keeps two who
// do it at once from removing what a third has made in between.
func (m namedMapping) discard() error {
	mine, err := m.file.Stat()
	if err != nil {
		return err
	}
	unlock, ok, err := lockFile(m.file.File())
	if err != nil || !ok { // somebody else is at it
		return err
	}
	defer unlock()
	now, err := posix.StatObject(string(m.object))
	if err == nil && now.Dev == mine.Dev && now.Ino == mine.Ino {
		err = posix.UnlinkObject(string(m.object))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return m.object.explain(err)
}
