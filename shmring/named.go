package shmring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sysvipc/gipc/posix"
)

// NamedOptions says how OpenOrCreate makes a ring, and which one it takes.
type NamedOptions struct {
	// Producers is One or Many; 0 is One. A ring of the other kind is an error.
	Producers Producers
	// Capacity is the number of bytes for messages, a power of two of at least 4096. A ring
	// of another capacity is an error. 0 takes any, and makes one of 1 MiB.
	Capacity int
	// Mode holds the permission bits of a new ring; 0 is 0600. Who is to take part needs
	// both to read and to write.
	Mode fs.FileMode
	// Owners are users, besides the caller's and root, whose ring is taken: anybody can
	// make an object under a name that others are about to use.
	Owners []int
	// Sparse leaves the memory of a new ring to be found when messages first need it.
	// A full /dev/shm then ends a process that sends; otherwise it is ENOSPC here.
	Sparse bool
}

// namedCapacity is that of a ring that is made without another wish.
const namedCapacity = 1 << 20

// ErrMismatch says that the ring under a name is of another kind or capacity than asked
// for, or somebody else's.
var ErrMismatch = errors.New("ring under this name is another")

// named is what a Ring of OpenOrCreate owns.
type named struct {
	name    string
	object  *posix.Object
	mapping *posix.Mapping
}

// OpenOrCreate opens the ring that is in the POSIX object called name, or makes it. Nil
// options are the zero ones. A ring appears under its name when it is finished: whoever
// is killed while making it leaves nothing behind. All who open the name at a time get
// the same ring, also if another process calls Remove meanwhile.
//
// The Ring owns its memory: Close releases it. The name stays, with all messages that
// were not received, until Remove, UnlinkObject or the end of the system. So a ring may be
// one that others have left, or died in; who takes a role there goes on with it.
//
// It waits, until ctx is done, only while another process removes the ring.
//
// Errors: ErrMismatch; ErrNotRing (there is something else under the name, which is
// left as it is); those of Open; of posix.CreateObject and OpenObject.
func OpenOrCreate(ctx context.Context, name string, o *NamedOptions) (*Ring, error) {
	if o == nil {
		o = &NamedOptions{}
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		object, err := posix.OpenObject(name, posix.ReadWrite)
		if errors.Is(err, fs.ErrNotExist) {
			object, err = o.create(name)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r, err := o.open(name, object)
		if r != nil || err != nil {
			return r, err
		}
		select { // somebody is removing it
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// create makes the object with the ring in it.
func (o *NamedOptions) create(name string) (*posix.Object, error) {
	ring := Options{Producers: o.Producers, Capacity: o.Capacity}
	if ring.Capacity == 0 {
		ring.Capacity = namedCapacity
	}
	if _, err := layOut(Size(ring.Capacity), ring); err != nil {
		return nil, err
	}
	mode := o.Mode
	if mode == 0 {
		mode = 0o600
	}
	fill := func(f *os.File) error {
		m, err := posix.MapFile(f, posix.MapOptions{})
		if err != nil {
			return err
		}
		r, err := Create(m.Bytes(), ring)
		if err == nil {
			err = r.Close()
		}
		return errors.Join(err, m.Unmap())
	}
	return posix.CreateObject(name, int64(Size(ring.Capacity)), &posix.ObjectOptions{
		Mode: mode, Reserve: !o.Sparse, Fill: fill,
	})
}

// open opens the ring in the object, which it closes if that fails. Without a ring and
// without an error the object is being removed, or was.
func (o *NamedOptions) open(name string, object *posix.Object) (r *Ring, err error) {
	defer func() {
		if r == nil {
			err = errors.Join(err, object.Close())
		}
	}()
	info, err := object.Stat()
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(append([]int{os.Geteuid(), 0}, o.Owners...), int(info.UID)):
		return nil, fmt.Errorf("shmring: %w: %s belongs to user %d", ErrMismatch, name, info.UID)
	}
	mapping, err := object.Map(posix.MapOptions{})
	if err != nil {
		return nil, err
	}
	if r, err = o.openIn(mapping, object); r == nil {
		return nil, errors.Join(err, mapping.Unmap())
	}
	r.named = &named{name, object, mapping}
	return r, nil
}

func (o *NamedOptions) openIn(mapping *posix.Mapping, object *posix.Object) (*Ring, error) {
	r, err := OpenIn(mapping)
	if err != nil {
		return nil, err
	}
	// The object's own open file takes the place of the one that Open has found. It can be
	// locked against others, and says whether the name still leads to it.
	if err := r.anchor.Close(); err != nil {
		return nil, err
	}
	r.anchor = object.File()
	switch {
	case r.header.death.Load() != byFile:
		return nil, fmt.Errorf("shmring: %w: its locks are not in its file", ErrMismatch)
	case r.Producers() != max(o.Producers, One):
		return nil, fmt.Errorf("shmring: %w: it is for %v", ErrMismatch, r.Producers())
	case o.Capacity != 0 && r.Capacity() != o.Capacity:
		return nil, fmt.Errorf("shmring: %w: it has a capacity of %d bytes", ErrMismatch, r.Capacity())
	}
	l := r.line(int(r.anchor.Fd()))
	if err := l.hold(presence); err != nil {
		if errors.Is(err, ErrBusy) {
			err = nil
		}
		return nil, err
	}
	// From here on nobody else removes it.
	if info, err := object.Stat(); err != nil || info.Links == 0 {
		return nil, err
	}
	return r, nil
}

// Remove removes the name of a ring of OpenOrCreate, with all messages that were not
// received, if nobody else has the ring open and all handles are closed; otherwise the
// error is ErrBusy. So the last one to leave may remove it, and whoever comes then makes
// a new ring. Nobody can join the removed one; Close it.
func (r *Ring) Remove() error {
	if r.named == nil {
		return fmt.Errorf("shmring: %w: this ring has no name", errors.ErrUnsupported)
	}
	info, err := r.named.object.Stat()
	if err != nil {
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	if info.Links == 0 { // the name is somebody else's, if there is one
		return nil
	}
	l := r.line(int(r.anchor.Fd()))
	ok, err := l.exclude()
	switch {
	case err != nil:
		return fmt.Errorf("shmring: %w", err)
	case !ok:
		return fmt.Errorf("shmring: %w", ErrBusy)
	}
	if err := posix.UnlinkObject(r.named.name); err != nil {
		return errors.Join(err, l.admit())
	}
	return nil // locked until Close: who has opened the file already sees that it is gone
}

// closedOr returns ErrClosed for an error that says so of a file or memory.
func closedOr(err error) error {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, posix.ErrUnmapped) {
		return ErrClosed
	}
	return err
}

func (p Producers) String() string {
	switch p {
	case One:
		return "one producer"
	case Many:
		return "several producers"
	}
	return fmt.Sprintf("Producers(%d)", uint32(p))
}
