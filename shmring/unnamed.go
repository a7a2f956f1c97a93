package shmring

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/posix"
)

// UnnamedOptions holds the options of CreateUnnamed. nil means the zero value.
type UnnamedOptions struct {
	// Producers is One or Many; 0 means One.
	Producers Producers
	// Capacity is the number of bytes for messages, a power of two of at least 4096. 0
	// means 1 MiB.
	Capacity int
	// Sparse does not reserve the memory. If there is not enough later, the kernel kills a
	// process. Without Sparse, creation fails instead.
	Sparse bool
}

// ErrUnsealed means that an object is not a memfd, or lacks a seal that keeps its size and
// its seals as they are.
var ErrUnsealed = errors.New("memory is not sealed")

// unnamedSeals are the seals of memory without a name. Nobody can truncate it, so no access
// to a mapping of it can fault.
const unnamedSeals = posix.SealShrink | posix.SealGrow | posix.SealSeal

// CreateUnnamed makes a ring that has no name, in a memfd with seals against truncation.
// Other processes join after this one has handed over Object: to a child process with
// PassTo, to any other with SendTo. They call OpenUnnamed.
//
// The kernel frees the memory with its last descriptor and mapping, so nothing is left
// behind, no matter which process is killed and when. Messages that nobody received are
// lost then. The label is only shown in /proc and need not be unique; it has at most 249
// bytes.
//
// The Ring owns its memory and Object, and Close releases both; other processes keep
// theirs. A process can join the ring if it has a descriptor of the object, or if it may
// open the descriptor of another process in /proc, as root and debuggers of that process
// may. Neither permission bits nor the user matter.
//
// Errors: ErrSize; those of posix.CreateMemfd and Create.
func CreateUnnamed(label string, o *UnnamedOptions) (*Ring, error) {
	n := o.options()
	return n.ring(n.unnamed(label), nil)
}

// OpenUnnamed returns the ring that CreateUnnamed made in object, which was handed over. It
// duplicates the descriptor of object, which may be closed afterwards. The object may come
// from a hostile process: if it is no such ring, OpenUnnamed returns an error.
//
// Errors: ErrUnsealed; ErrForeign (also: there is no /proc, or it is forbidden to open the
// object there); those of Open and of posix.Object.Map.
func OpenUnnamed(object *posix.Object) (ring *Ring, err error) {
	err = openUnnamed(object, func(mem Memory) (*base, error) {
		if ring, err = OpenIn(mem); err != nil {
			return nil, err
		}
		return &ring.base, nil
	})
	return orNil(ring, err)
}

// CreateUnnamedBroadcast makes a broadcast without a name, as CreateUnnamed makes a ring.
// In o, Producers is One or 0.
func CreateUnnamedBroadcast(label string, o *UnnamedOptions) (*Broadcast, error) {
	n := o.options()
	return n.broadcast(n.unnamed(label))
}

// OpenUnnamedBroadcast returns the broadcast in object, as OpenUnnamed does a ring.
func OpenUnnamedBroadcast(object *posix.Object) (b *Broadcast, err error) {
	err = openUnnamed(object, func(mem Memory) (*base, error) {
		if b, err = OpenBroadcastIn(mem); err != nil {
			return nil, err
		}
		return &b.base, nil
	})
	return orNil(b, err)
}

// CreateUnnamedChan makes a Chan without a name that holds n values at least, as
// CreateUnnamed makes a ring; n of 0 means as many as fit into 1 MiB. In o, Capacity is 0,
// and Producers of 0 means Many. Errors: ErrPointers; ErrTooLarge (n); those of
// CreateUnnamed.
func CreateUnnamedChan[T any](label string, n int, o *UnnamedOptions) (*Chan[T], error) {
	all := o.options()
	return findChan[T](n, *all, all.unnamed(label))
}

// OpenUnnamedChan returns the Chan in object, as OpenUnnamed does a ring. Errors:
// ErrPointers; ErrMismatch (values of another type); those of OpenUnnamed.
func OpenUnnamedChan[T any](object *posix.Object) (c *Chan[T], err error) {
	err = openUnnamed(object, func(mem Memory) (*base, error) {
		if c, err = OpenChanIn[T](mem); err != nil {
			return nil, err
		}
		return &c.r.base, nil
	})
	return orNil(c, err)
}

// CreateUnnamedCell makes a cell without a name, with the zero value, as CreateUnnamed makes
// a ring. In o, Producers and Capacity are 0. Errors: ErrPointers; those of CreateUnnamed and
// shmsync.NewMutex.
func CreateUnnamedCell[T any](label string, o *UnnamedOptions) (*Cell[T], error) {
	n := o.options()
	return findCell[T](n, n.unnamed(label))
}

// OpenUnnamedCell returns the cell in object, as OpenUnnamed does a ring. Errors:
// ErrPointers; ErrMismatch (a cell of another type); those of OpenUnnamed and
// shmsync.NewMutex.
func OpenUnnamedCell[T any](object *posix.Object) (*Cell[T], error) {
	s, err := schemaOf[T]()
	if err != nil {
		return nil, err
	}
	var c *cell
	err = openUnnamed(object, func(mem Memory) (*base, error) {
		if c, err = openCellIn(mem, s); err != nil {
			return nil, err
		}
		return &c.base, nil
	})
	if err != nil {
		return nil, err
	}
	return withLock[T](c, c.place.memory())
}

// CreateUnnamedService makes a service without a name, as CreateUnnamed makes a ring. In o,
// Producers and Capacity are 0. Sparse has no effect, as in OpenOrCreateService.
func CreateUnnamedService(label string, l ServiceLimits, o *UnnamedOptions) (*Service, error) {
	n := o.options()
	n.Sparse = true
	return findService(l, n, n.unnamed(label))
}

// OpenUnnamedService returns the service in object, as OpenUnnamed does a ring.
func OpenUnnamedService(object *posix.Object) (s *Service, err error) {
	err = openUnnamed(object, func(mem Memory) (*base, error) {
		if s, err = OpenServiceIn(mem); err != nil {
			return nil, err
		}
		return &s.base, nil
	})
	return orNil(s, err)
}

// Object returns the object of a ring of CreateUnnamed or OpenUnnamed, to hand it over with
// PassTo or SendTo. It belongs to the Ring, whose Close closes it. For any other ring, it
// returns nil.
func (r *Ring) Object() *posix.Object { return r.object() }

// Object returns the object of a broadcast without a name, as Ring.Object does.
func (b *Broadcast) Object() *posix.Object { return b.object() }

// Object returns the object of a Chan without a name, as Ring.Object does.
func (c *Chan[T]) Object() *posix.Object { return c.r.object() }

// Object returns the object of a cell without a name, as Ring.Object does.
func (c *Cell[T]) Object() *posix.Object { return c.c.object() }

// Object returns the object of a service without a name, as Ring.Object does.
func (s *Service) Object() *posix.Object { return s.object() }

func (b *base) object() *posix.Object {
	if p, ok := b.place.(*unnamedPlace); ok {
		return p.object
	}
	return nil
}

// An unnamedPlace is a memfd. Its descriptors in all processes may share one open file
// description, so no process can hold presence of its own. None needs to, because there is
// no name to remove.
type unnamedPlace struct{ objectPlace }

// options converts the options to NamedOptions.
func (o *UnnamedOptions) options() *NamedOptions {
	if o == nil {
		o = &UnnamedOptions{}
	}
	return &NamedOptions{Producers: o.Producers, Capacity: o.Capacity, Sparse: o.Sparse}
}

// unnamed returns a finder that makes an object without a name.
func (o *NamedOptions) unnamed(label string) finder {
	return func(r recipe) error {
		object, err := posix.CreateMemfd(label, int64(r.size), &posix.MemfdOptions{Sealing: true, Reserve: !o.Sparse})
		if err != nil {
			return err
		}
		err = object.Seal(unnamedSeals)
		if err == nil {
			err = adopt(object, func(m *posix.Mapping) (*base, error) {
				if err := r.fill(m); err != nil {
					return nil, err
				}
				b, err := r.open(m)
				if b != nil {
					b.made = true
				}
				return b, err
			})
		}
		if err != nil {
			return errors.Join(err, object.Close())
		}
		return nil
	}
}

// openUnnamed opens the contents of an object that another process made.
func openUnnamed(object *posix.Object, open func(Memory) (*base, error)) error {
	if err := checkSeals(object); err != nil {
		return err
	}
	own, err := duplicate(object)
	if err != nil {
		return err
	}
	if err := adopt(own, func(m *posix.Mapping) (*base, error) { return open(m) }); err != nil {
		return errors.Join(err, own.Close())
	}
	return nil
}

// adopt opens the contents of the object. The result owns the object and its mapping.
// Members open the file with their locks through the descriptor of the object.
func adopt(object *posix.Object, open func(*posix.Mapping) (*base, error)) error {
	mapping, err := object.Map(nil)
	if err != nil {
		return err
	}
	b, err := open(mapping)
	if b != nil {
		err = errors.Join(err, b.anchor.Close())
	}
	if err == nil && b.pre.death.Load() != byFile {
		err = fmt.Errorf("shmring: %w: its locks are not in its file", ErrForeign)
	}
	if err != nil {
		return errors.Join(err, mapping.Unmap())
	}
	b.anchor, b.place = object.File(), &unnamedPlace{objectPlace{object, mapping}}
	return nil
}

// checkSeals returns ErrUnsealed, with the missing seals, if the object lacks any of
// unnamedSeals.
func checkSeals(object *posix.Object) error {
	seals, err := object.Seals()
	switch {
	case errors.Is(err, abi.EINVAL):
		return fmt.Errorf("shmring: %w: it is no memfd", ErrUnsealed)
	case err != nil:
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	var missing []string
	for _, s := range []struct {
		seal posix.Seals
		name string
	}{
		{posix.SealShrink, "F_SEAL_SHRINK"},
		{posix.SealGrow, "F_SEAL_GROW"},
		{posix.SealSeal, "F_SEAL_SEAL"},
	} {
		if seals&s.seal == 0 {
			missing = append(missing, s.name)
		}
	}
	if missing != nil {
		return fmt.Errorf("shmring: %w: it lacks %s", ErrUnsealed, strings.Join(missing, ", "))
	}
	return nil
}

// orNil returns object, or nil with an error: it may have been opened before it was
// refused.
func orNil[T any](object *T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return object, nil
}
