package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sysvipc/gipc/posix"
)

// NamedOptions holds the options of OpenOrCreate: how to make a ring, and which ring to
// accept.
type NamedOptions struct {
	// Producers is One or Many; 0 means One. A ring of the other kind is ErrMismatch.
	Producers Producers
	// Capacity is the number of bytes for messages, a power of two of at least 4096. A
	// ring of another capacity is ErrMismatch. 0 accepts any capacity, and makes a ring of
	// 1 MiB.
	Capacity int
	// Mode holds the permission bits of a new ring; 0 means 0600. A member needs both read
	// and write permission.
	Mode fs.FileMode
	// Owners lists users, besides the caller and root, whose ring is accepted. Any user
	// can create an object under a name that others are about to use.
	Owners []int
	// Sparse does not reserve the memory of a new ring. A full /dev/shm then ends a
	// process that sends. Without Sparse, it makes OpenOrCreate fail with ENOSPC.
	Sparse bool
}

// namedCapacity is the default capacity.
const namedCapacity = 1 << 20

// ErrMismatch means that a ring, broadcast or cell has another kind, capacity, owner or type
// of values than the caller wants.
var ErrMismatch = errors.New("what is there differs from what was asked for")

// named holds what a Ring of OpenOrCreate owns.
type named struct {
	name    string
	object  *posix.Object
	mapping *posix.Mapping
}

// OpenOrCreate opens the ring in the POSIX object called name, or makes it. nil options
// mean the zero value. A ring gets its name only when it is complete, so a process killed
// while making one leaves nothing behind. All processes that open the name get the same
// ring, even if one of them calls Remove meanwhile.
//
// The Ring owns its memory, and Close releases it. The name, with all messages that were
// not received, stays until Remove, UnlinkObject or a restart of the system. So other
// processes may have left the ring, or died in it; a process that joins continues where
// they stopped.
//
// OpenOrCreate blocks only while another process removes the ring, until ctx is done.
//
// Errors: ErrMismatch; ErrNotRing (the object holds something else, which is left
// unchanged); those of Open, posix.CreateObject and posix.OpenObject.
func OpenOrCreate(ctx context.Context, name string, o *NamedOptions) (*Ring, error) {
	if o == nil {
		o = &NamedOptions{}
	}
	return o.ring(ctx, name, nil)
}

// ring opens or makes a ring, of values if there is a schema.
func (o *NamedOptions) ring(ctx context.Context, name string, values *schema) (*Ring, error) {
	options := Options{Producers: o.Producers, Capacity: o.Capacity}
	if options.Capacity == 0 {
		options.Capacity = namedCapacity
	}
	if _, err := layOut(Size(options.Capacity), options); err != nil {
		return nil, err
	}
	var ring *Ring
	err := o.meet(ctx, name, recipe{
		size: Size(options.Capacity),
		make: func(mem []byte) (io.Closer, error) { return create(mem, options, values) },
		open: func(mem Memory) (_ *base, err error) {
			ring, err = ringIn(mem, func(b []byte) (*Ring, error) { return openAs(b, values) })
			if err != nil {
				return nil, err
			}
			return &ring.base, ring.fits(o)
		},
	})
	if err != nil {
		return nil, err
	}
	return ring, nil
}

// fits returns ErrMismatch if the options want another ring.
func (r *Ring) fits(o *NamedOptions) error {
	switch {
	case r.Producers() != max(o.Producers, One):
		return fmt.Errorf("shmring: %w: it is for %v", ErrMismatch, r.Producers())
	case o.Capacity != 0 && r.Capacity() != o.Capacity:
		return fmt.Errorf("shmring: %w: it has a capacity of %d bytes", ErrMismatch, r.Capacity())
	}
	return nil
}

// A recipe says how to make and open what a name leads to.
type recipe struct {
	size int
	make func(mem []byte) (io.Closer, error)
	// open returns the base of what is in mem, also if it is not the one that is wanted.
	open func(mem Memory) (*base, error)
}

// meet opens what is in the object, or makes it. The result is what r.open returned last.
func (o *NamedOptions) meet(ctx context.Context, name string, r recipe) error {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return err
		}
		object, err := posix.OpenObject(name, posix.ReadWrite)
		if errors.Is(err, fs.ErrNotExist) {
			object, err = o.create(name, r)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if ok, err := o.open(name, object, r); ok || err != nil {
			return err
		}
		select { // another process is removing it
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// create creates the object with its contents.
func (o *NamedOptions) create(name string, r recipe) (*posix.Object, error) {
	mode := o.Mode
	if mode == 0 {
		mode = 0o600
	}
	fill := func(f *os.File) error {
		m, err := posix.MapFile(f, nil)
		if err != nil {
			return err
		}
		made, err := r.make(m.Bytes())
		if err == nil {
			err = made.Close()
		}
		return errors.Join(err, m.Unmap())
	}
	return posix.CreateObject(name, int64(r.size), &posix.ObjectOptions{
		Mode: mode, Reserve: !o.Sparse, Fill: fill,
	})
}

// open opens what is in the object, and closes the object if that fails. If it returns
// neither true nor an error, the object is being removed or was removed.
func (o *NamedOptions) open(name string, object *posix.Object, r recipe) (ok bool, err error) {
	defer func() {
		if !ok {
			err = errors.Join(err, object.Close())
		}
	}()
	info, err := object.Stat()
	switch {
	case err != nil:
		return false, err
	case !slices.Contains(append([]int{os.Geteuid(), 0}, o.Owners...), int(info.UID)):
		return false, fmt.Errorf("shmring: %w: %s belongs to user %d", ErrMismatch, name, info.UID)
	}
	mapping, err := object.Map(nil)
	if err != nil {
		return false, err
	}
	b, err := r.open(mapping)
	if b != nil {
		if e := b.anchor.Close(); err == nil {
			err = e
		}
	}
	if err == nil {
		ok, err = b.appear(object)
	}
	if !ok {
		return false, errors.Join(err, mapping.Unmap())
	}
	b.named = &named{name, object, mapping}
	return true, nil
}

// appear makes this process present. It uses the object's own open file instead of the one
// that open found. It can be locked against others, and shows whether the name still leads
// to it.
func (b *base) appear(object *posix.Object) (bool, error) {
	b.anchor = object.File()
	if b.pre.death.Load() != byFile {
		return false, fmt.Errorf("shmring: %w: its locks are not in its file", ErrMismatch)
	}
	l := b.line(int(b.anchor.Fd()))
	if err := l.hold(presence); err != nil {
		if errors.Is(err, ErrBusy) {
			err = nil
		}
		return false, err
	}
	// From here on, no other process removes it.
	if info, err := object.Stat(); err != nil || info.Links == 0 {
		return false, err
	}
	return true, nil
}

// Remove removes the name of a ring of OpenOrCreate, with all messages that were not
// received. It returns ErrBusy if another process has the ring open, or if handles of this
// Ring are open. So the last process to leave can remove the ring, and a process that
// comes later makes a new one. No process can join the removed ring; Close it.
func (r *Ring) Remove() error { return r.remove() }

func (b *base) remove() error {
	if b.named == nil {
		return fmt.Errorf("shmring: %w: it has no name", errors.ErrUnsupported)
	}
	info, err := b.named.object.Stat()
	if err != nil {
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	if info.Links == 0 { // the name, if it exists, belongs to another ring
		return nil
	}
	l := b.line(int(b.anchor.Fd()))
	ok, err := l.exclude()
	switch {
	case err != nil:
		return fmt.Errorf("shmring: %w", err)
	case !ok:
		return fmt.Errorf("shmring: %w", ErrBusy)
	}
	if err := posix.UnlinkObject(b.named.name); err != nil {
		return errors.Join(err, l.admit())
	}
	return nil // locked until Close: a process that has opened the file already sees that it is gone
}

// closedOr returns ErrClosed if err means a closed file or unmapped memory, and err
// otherwise.
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
