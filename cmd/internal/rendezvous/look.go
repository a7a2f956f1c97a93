package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/shmring"
)

// Bounds of a ring's capacity: the smallest ring there is, and what leaves room for the
// rest of the object in an int.
const (
	MinCapacity = 4096
	MaxCapacity = 1 << (bits.UintSize*3/8 + 16) // 256 MiB on 32 bits, 1 TiB on 64
)

const (
	// Unfinished is the mode of an object until there is a ring in it and its maker has
	// joined it. By this mode the next process recognizes what a killed maker has left.
	Unfinished fs.FileMode = 0o601
	// makingTime is longer than making a ring takes. (System V times are in seconds.)
	makingTime = 3 * time.Second
)

// An OwnerError means that an object belongs to a user who is neither the caller, nor root,
// nor one of Options.Owners.
type OwnerError struct {
	Object shm.Object
	UID    uint32
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%v belongs to user %d, and not to you or root", e.Object, e.UID)
}

// A ProducersError refuses a ring for another number of producers.
type ProducersError struct {
	Object    shm.Object
	Producers shmring.Producers // of the ring
}

func (e *ProducersError) Error() string {
	return fmt.Sprintf("the ring in %v is for %v", e.Object, e.Producers)
}

// look makes the ring, or looks for it once. The error is notYet if it may appear.
func (o *Options) look(ctx context.Context) (*Meeting, error) {
	if o.Create {
		made, ok, err := o.Ref.Create(ctx, shm.CreateOptions{
			Size: int64(shmring.Size(o.Ring.Capacity)), Mode: Unfinished, Exclusive: true, Reserve: true,
			HugePages: o.HugePages,
		})
		if ok {
			return o.layOut(made)
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	found, err := o.Ref.Find()
	if err == nil {
		var m *Meeting
		if m, err = o.open(found); err == nil {
			return m, nil
		}
	}
	// The kernel chooses the identifier of a new segment: nobody can wait for one.
	if _, isID := o.Ref.ID(); errors.Is(err, fs.ErrNotExist) && !isID {
		err = notYet{err}
	}
	return nil, err
}

// layOut makes the ring in a new object.
func (o *Options) layOut(made shm.Object) (*Meeting, error) {
	mem, err := made.Attach(shm.AttachOptions{})
	if err != nil {
		return nil, errors.Join(explain.Now(err), made.Remove())
	}
	m := &Meeting{object: made, mem: mem, made: true, options: o}
	if m.ring, err = shmring.Create(mem.Bytes(), o.Ring); err != nil {
		return nil, errors.Join(err, m.Leave())
	}
	return m, nil
}

// open opens the ring in an object that another process has made.
func (o *Options) open(found shm.Object) (*Meeting, error) {
	s, err := found.State()
	if err == nil {
		err = o.admit(found, s)
	}
	if err != nil {
		return nil, err
	}
	mem, err := found.Attach(shm.AttachOptions{})
	if err != nil {
		return nil, err
	}
	m := &Meeting{object: found, mem: mem, options: o}
	if err := m.open(); err != nil {
		return nil, errors.Join(err, mem.Detach())
	}
	return m, nil
}

// admit refuses an object of another user, and one that is still being made.
func (o *Options) admit(found shm.Object, s shm.State) error {
	for _, uid := range s.Owners {
		if uid != uint32(os.Geteuid()) && uid != 0 && !slices.Contains(o.Owners, uid) {
			return &OwnerError{found, uid}
		}
	}
	if s.Mode == Unfinished && (!o.Create || time.Since(s.Changed) < makingTime) {
		return notYet{fmt.Errorf("somebody has begun to make a ring in %v, and may have died; gshm rm %s removes it", found, found.Ref())}
	}
	return nil
}

// open opens the ring in the attached object, which is admitted again: its name may have
// passed to another object before it was attached.
func (m *Meeting) open() error {
	s, err := m.mem.State()
	if err == nil {
		err = m.options.admit(m.object, s)
	}
	if err != nil {
		return err
	}
	blank := isBlank(m.mem) // asked first: the ring may be finished the next moment
	m.ring, err = shmring.Open(m.mem.Bytes())
	switch {
	case s.Mode == Unfinished && (err == nil || blank && isSizeOfRing(m.mem.Len())):
		return m.abandoned(true)
	case errors.Is(err, shmring.ErrNotRing) && blank:
		return notYet{fmt.Errorf("%v holds no ring", m.object)}
	case errors.Is(err, shmring.ErrNotRing):
		return explain.As(err, fmt.Sprintf("%v holds no ring, but something else; it is left as it is", m.object))
	case err != nil:
		return fmt.Errorf("%v is not to be used: %w", m.object, err)
	case m.ring.Abandoned():
		return m.abandoned(m.options.Create)
	case m.ring.Producers() != m.options.Ring.Producers:
		return &ProducersError{m.object, m.ring.Producers()}
	}
	return nil
}

// isBlank reports whether a ring may still be made in mem.
func isBlank(mem shm.Mapping) bool {
	var magic [8]byte
	n, err := mem.ReadAt(magic[:], 0)
	return n == len(magic) && err == nil && magic == [8]byte{} && mem.Len() >= shmring.Size(MinCapacity)
}

// isSizeOfRing reports whether look can have made an object of this size.
func isSizeOfRing(size int) bool {
	capacity := MinCapacity
	for capacity < MaxCapacity && shmring.Size(capacity) < size {
		capacity *= 2
	}
	return shmring.Size(capacity) == size
}

// abandoned returns notYet for a ring whose processes have all died. If remove is set the
// next look can make it again.
func (m *Meeting) abandoned(remove bool) error {
	if remove {
		if err := m.mem.Discard(); err != nil {
			return err
		}
	}
	return notYet{fmt.Errorf("the ring in %v was left by processes that have died; gshm rm %s removes it", m.object, m.object.Ref())}
}
