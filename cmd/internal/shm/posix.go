package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A POSIXObject is a POSIX shared-memory object: its name, with the slash.
type POSIXObject string

func findPOSIX(name string) (Object, error) {
	p := POSIXObject(name)
	if _, err := p.Info(); err != nil {
		return nil, err
	}
	return p, nil
}

func createPOSIX(name string, o CreateOptions) (Object, bool, error) {
	p := POSIXObject(name)
	if o.HugePages != 0 || o.Lock {
		return nil, false, fmt.Errorf("huge pages and locks of %v: %w", p, errors.ErrUnsupported)
	}
	err := p.create(o)
	if errors.Is(err, fs.ErrExist) && !o.Exclusive {
		return p, false, p.explain(p.fits(o))
	}
	return p, err == nil, p.explain(err)
}

// create makes the object. Like a segment it gets its mode whatever the umask.
func (p POSIXObject) create(o CreateOptions) error {
	if !o.NoReserve {
		if err := p.checkRoom(o.Size); err != nil {
			return err
		}
	}
	file, err := posix.CreateObject(string(p), o.Size, &posix.ObjectOptions{Mode: sysvipc.Mode(o.Mode), Reserve: o.Populate})
	if err != nil {
		return full(err, o.Size)
	}
	err = errors.Join(file.Chmod(o.Mode), file.Close())
	if err != nil { // leave nothing half-made
		err = errors.Join(err, posix.UnlinkObject(string(p)))
	}
	return err
}

// checkRoom returns an error if /dev/shm has no room for another size bytes. The error is
// fs.ErrExist if the object exists already, since it then needs no room.
func (p POSIXObject) checkRoom(size int64) error {
	usage, err := posix.ShmUsage()
	if err != nil || usage.Size == 0 || uint64(size) <= usage.Free {
		return err
	}
	if _, err := posix.StatObject(string(p)); err == nil {
		return fs.ErrExist
	}
	return errFull(size, usage)
}

// full adds the use of /dev/shm to an error that says that it is full.
func full(err error, size int64) error {
	usage, errUsage := posix.ShmUsage()
	if errUsage != nil || !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return errFull(size, usage)
}

func errFull(size int64, u posix.Usage) error {
	return fmt.Errorf("/dev/shm cannot hold %d bytes: it has %d, of which %d are free (mount -o remount,size=SIZE /dev/shm makes it larger)", size, u.Size, u.Free)
}

// fits returns an error if the existing object cannot stand for the one that o describes.
func (p POSIXObject) fits(o CreateOptions) error {
	access := posix.ReadWrite
	if o.Mode&0o222 == 0 && !o.Populate {
		access = posix.ReadOnly
	}
	file, err := posix.OpenObject(string(p), access)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	switch {
	case err != nil:
		return err
	case size < o.Size:
		return fmt.Errorf("%v has %d bytes, less than the %d asked for", p, size, o.Size)
	case o.Populate:
		return full(file.Reserve(size), size)
	}
	return nil
}

func (p POSIXObject) String() string { return "object " + string(p) }

// Ref implements Object.
func (p POSIXObject) Ref() string { return string(p) }

// Attach implements Object.
func (p POSIXObject) Attach(o AttachOptions) (Mapping, error) {
	access, prot := posix.ReadWrite, posix.Prot(0)
	if o.ReadOnly {
		access, prot = posix.ReadOnly, posix.ProtRead
	}
	file, err := posix.OpenObject(string(p), access)
	if err != nil {
		return nil, p.explain(err)
	}
	defer file.Close()
	mem, err := file.Map(&posix.MapOptions{Prot: prot, Addr: o.Addr})
	if err != nil {
		return nil, p.badMapping(err, file, o.Addr)
	}
	return populate(posixMapping{mem, p}, p, o)
}

// badMapping explains why an object cannot be mapped.
func (p POSIXObject) badMapping(err error, file *posix.Object, addr uintptr) error {
	switch size, sizeErr := file.Size(); {
	case sizeErr == nil && size == 0:
		return fmt.Errorf("%v is empty: there is nothing to attach", p)
	case addr != 0 && !errors.Is(err, fs.ErrPermission):
		return errAddress(p, addr)
	}
	return p.explain(err)
}

// Info returns what the kernel knows of the object.
func (p POSIXObject) Info() (posix.FileInfo, error) {
	info, err := posix.StatObject(string(p))
	return info, p.explain(err)
}

// State implements Object.
func (p POSIXObject) State() (State, error) {
	info, err := p.Info()
	return State{Mode: info.Mode, Owners: []uint32{info.UID}}, err
}

// Set implements Object.
func (p POSIXObject) Set(change func(*sysv.Ownership)) error {
	file, err := posix.OpenObject(string(p), posix.ReadOnly)
	if err != nil {
		return p.explain(err)
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
	return p.explain(err)
}

// Remove implements Object. The object loses its name.
func (p POSIXObject) Remove() error { return p.explain(posix.UnlinkObject(string(p))) }

// explain turns err into a sentence about the object.
func (p POSIXObject) explain(err error) error {
	var failed *posix.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return explain.As(err, "there is no POSIX "+p.String())
	case errors.Is(err, fs.ErrExist):
		return explain.As(err, "POSIX "+p.String()+" exists already")
	case errors.As(err, &failed) && errors.Is(err, fs.ErrPermission) && failed.Op == "fchown":
		return explain.As(err, "only root (CAP_CHOWN) may give POSIX "+p.String()+" to another user, or to a group that is not its owner's")
	case errors.As(err, &failed) && errors.Is(err, fs.ErrPermission):
		return explain.As(err, "permission denied: POSIX "+p.String()+p.owner())
	case errors.Is(err, posix.ErrFault):
		return explain.As(err, fmt.Sprintf("%v: a page is not there: it was made shorter meanwhile, or /dev/shm is full", p))
	case errors.As(err, &failed) && errors.Is(err, syscall.EINVAL) && failed.Op == "stat":
		return explain.As(err, fmt.Sprintf("%v is no regular file", p))
	}
	return err
}

func (p POSIXObject) owner() string {
	info, err := posix.StatObject(string(p))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" belongs to uid %d, its mode is %04o, you are uid %d", info.UID, uint32(info.Mode), os.Geteuid())
}
