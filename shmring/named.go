package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// NamedOptions holds the options of OpenOrCreate, OpenOrCreateKey, Await, AwaitKey and the
// corresponding functions for broadcasts, cells, Chans and services: how to make a ring,
// and which ring to accept.
type NamedOptions struct {
	// Producers is One or Many; 0 means One. A ring of the other kind is ErrMismatch.
	Producers Producers
	// Capacity is the number of bytes for messages, a power of two of at least 4096. A
	// ring of another capacity is ErrMismatch. 0 accepts any capacity, and makes a ring of
	// 1 MiB.
	Capacity int
	// Mode holds the permission bits of a new ring, whatever the umask; 0 means 0600,
	// posix.NoAccess means none. A member needs both read and write permission. 0601 is
	// EINVAL: it marks a segment whose ring is not complete.
	Mode fs.FileMode
	// Owners lists users, besides the caller and root, whose ring is accepted. Any user
	// can create an object under a name or a key that others are about to use.
	Owners []int
	// Sparse does not reserve the memory of a new ring. If no memory is left when a message
	// needs it, the sending process dies. Without Sparse, a full /dev/shm makes OpenOrCreate
	// fail with ENOSPC.
	Sparse bool
	// Outlive makes the handles that join through this Ring go on when the other side is
	// gone, whether it closed or died: a Producer sends into the ring while there is room,
	// and then waits for the next consumer; a Consumer waits for the next producer. Only
	// the context, or a failure of the ring, ends their waits. Members().Died counts the
	// dead producers. It is not stored in the ring: each side chooses for itself. In a
	// Broadcast it holds for readers, and in a Service for requests of clients that no
	// server has taken. A Cell ignores it.
	Outlive bool
	// HugePages is as in sysv.SegmentOptions, for a ring with a key. With a name, a value
	// other than 0 is errors.ErrUnsupported.
	HugePages int64
}

// namedCapacity is the default capacity.
const namedCapacity = 1 << 20

// ErrMismatch means that a ring, broadcast, cell or service has another kind, size, owner or
// type of values than the caller wants.
var ErrMismatch = errors.New("what is there differs from what was asked for")

// OpenOrCreate opens the ring in the POSIX object called name, or makes it. nil options
// mean the zero value. A ring gets its name only when it is complete, so a process killed
// while making one leaves nothing behind. All processes that open the name get the same
// ring, even if one of them calls Remove meanwhile.
//
// The Ring owns its memory, and Close releases it. The name, with all messages that were
// not received, stays until Remove, Unlink or a restart of the system. So a process may
// join a ring that others have left or died in; it continues where they stopped.
//
// OpenOrCreate blocks only while another process makes or removes the ring, until ctx is
// done.
//
// Errors: ErrMismatch; ErrNotRing (the object holds something else, which is left
// unchanged); those of Open, posix.CreateObject and posix.OpenObject.
func OpenOrCreate(ctx context.Context, name string, o *NamedOptions) (*Ring, error) {
	return o.ring(o.at(ctx, byName(name), true), nil)
}

// OpenOrCreateKey is OpenOrCreate for the ring in the System V segment under key. Only
// processes in the same IPC namespace can use it. A segment has its key before it has a
// ring; until then its mode is 0601, and the kernel shows whether its maker is alive. If
// the maker was killed, OpenOrCreateKey removes the segment and makes a new one.
//
// Errors: ErrMismatch; ErrNotRing (the segment holds something else, which is left
// unchanged); sysv.ErrPrivateKey; those of Open, sysv.CreateSegment and
// sysv.Segment.Attach.
func OpenOrCreateKey(ctx context.Context, key sysv.Key, o *NamedOptions) (*Ring, error) {
	return o.ring(o.at(ctx, byKey(key), true), nil)
}

// Await opens the ring in the POSIX object called name, and blocks until another process
// has made it, or until ctx is done. The error then unwraps to ctx.Err(), and also to
// fs.ErrNotExist if there was no object, or to ErrNotRing if the object held only zeros:
// another process may still make a ring there. Options for a new ring have no effect. Other
// errors: those of OpenOrCreate.
func Await(ctx context.Context, name string, o *NamedOptions) (*Ring, error) {
	return o.ring(o.at(ctx, byName(name), false), nil)
}

// AwaitKey is Await for the ring in the System V segment under key. Other errors: those of
// OpenOrCreateKey.
func AwaitKey(ctx context.Context, key sysv.Key, o *NamedOptions) (*Ring, error) {
	return o.ring(o.at(ctx, byKey(key), false), nil)
}

// A finder opens or makes the object that a recipe describes. The result is the object of
// the recipe's last call of open.
type finder func(recipe) error

// at returns the finder of the object at a spot. o may be nil.
func (o *NamedOptions) at(ctx context.Context, s spot, mayCreate bool) finder {
	if o == nil {
		o = &NamedOptions{}
	}
	return func(r recipe) error { return meet(ctx, s, o, mayCreate, r) }
}

// ring opens or makes a ring, or a Chan if there is a schema. o may be nil.
func (o *NamedOptions) ring(find finder, values *schema) (*Ring, error) {
	if o == nil {
		o = &NamedOptions{}
	}
	options := Options{Producers: o.Producers, Capacity: o.Capacity}
	if options.Capacity == 0 {
		options.Capacity = namedCapacity
	}
	if _, err := layOut(Size(options.Capacity), options); err != nil {
		return nil, err
	}
	var ring *Ring
	err := find(recipe{
		size: Size(options.Capacity),
		make: func(mem []byte) (io.Closer, error) { return create(mem, &options, values) },
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

// fits returns ErrMismatch if the options ask for another ring.
func (r *Ring) fits(o *NamedOptions) error {
	switch {
	case r.Producers() != max(o.Producers, One):
		return fmt.Errorf("shmring: %w: it is for %v", ErrMismatch, r.Producers())
	case o.Capacity != 0 && r.Capacity() != o.Capacity:
		return fmt.Errorf("shmring: %w: it has a capacity of %d bytes", ErrMismatch, r.Capacity())
	}
	return nil
}

// A recipe says how to make and open an object.
type recipe struct {
	size int
	make func(mem []byte) (io.Closer, error)
	// open returns the base of the object in mem, even with an error if the object is not the
	// wanted one.
	open func(mem Memory) (*base, error)
}

// fill makes the object in mem.
func (r recipe) fill(mem Memory) error {
	made, err := r.make(mem.Bytes())
	if err != nil {
		return err
	}
	return made.Close()
}

// A meeting is one call that opens or makes the object at a spot.
type meeting struct {
	*NamedOptions
	recipe
	create bool
}

// A notYet is the reason to look again later.
type notYet struct{ error }

func (e notYet) Unwrap() error { return e.error }

// Bounds of the pause between two looks.
const (
	leastPause = 100 * time.Microsecond
	mostPause  = 20 * time.Millisecond
)

// meet opens or makes the object at the spot. While the error is a notYet, it tries again.
func meet(ctx context.Context, s spot, o *NamedOptions, create bool, r recipe) error {
	m := &meeting{o, r, create}
	if mode := m.mode(); create && (mode&^fs.ModePerm != 0 || mode == unfinished) {
		return fmt.Errorf("shmring: mode %#o: %w", uint32(mode), syscall.EINVAL)
	}
	var later notYet
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		if err := ctx.Err(); err != nil {
			return waited(err, later.error)
		}
		if err := m.look(s); !errors.As(err, &later) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// waited adds the reason of the wait to the error of the context.
func waited(err, reason error) error {
	if reason == nil {
		return err
	}
	return fmt.Errorf("shmring: %w: %w", err, reason)
}

// mode returns the mode of a new ring.
func (m *meeting) mode() fs.FileMode {
	switch m.Mode {
	case 0:
		return 0o600
	case posix.NoAccess:
		return 0
	}
	return m.Mode
}

// look tries once to open or make the object.
func (m *meeting) look(s spot) error {
	p, err := s.find(m)
	made := false
	if errors.Is(err, fs.ErrNotExist) {
		if !m.create {
			return notYet{err}
		}
		p, err = s.create(m)
		made = err == nil
		if errors.Is(err, fs.ErrExist) {
			err = notYet{err}
		}
	}
	if err != nil {
		return err
	}
	if err := m.enter(p, made); err != nil {
		return errors.Join(err, p.close())
	}
	return nil
}

// admit returns ErrMismatch if one of the owners is not the caller, root or one of the
// Owners.
func (m *meeting) admit(what string, owners ...uint32) error {
	for _, uid := range owners {
		if int(uid) != os.Geteuid() && uid != 0 && !slices.Contains(m.Owners, int(uid)) {
			return fmt.Errorf("shmring: %w: %s belongs to user %d", ErrMismatch, what, uid)
		}
	}
	return nil
}

// enter opens the object in the place.
func (m *meeting) enter(p place, made bool) error {
	mem := p.memory()
	blank := isBlank(mem) // check this first: another process may finish it at any moment
	b, err := m.open(mem)
	if errors.Is(err, ErrNotRing) && blank && !m.create {
		err = notYet{err}
	}
	if b == nil {
		return err
	}
	anchor, keepErr := p.keep(b.anchor)
	if err := errors.Join(err, keepErr); err != nil {
		return err
	}
	b.anchor, b.place, b.made, b.outlive = anchor, p, made, m.Outlive
	if b.pre.death.Load() != p.death() {
		return fmt.Errorf("shmring: %w: its locks are in another file", ErrMismatch)
	}
	return b.appear()
}

// isBlank reports whether another process may still make an object in mem.
func isBlank(mem Memory) (blank bool) {
	b := mem.Bytes()
	if len(b) < headerSize || !aligned(b) {
		return false
	}
	fault := memory.Guard(func() error { blank = preambleOf(b).magic.Load() == 0; return nil })
	return fault == nil && blank
}

// appear registers this process as one that has the object open.
func (b *base) appear() error {
	l := b.anchorLine()
	if err := l.hold(presence); err != nil {
		if errors.Is(err, ErrBusy) {
			err = notYet{err}
		}
		return err
	}
	if l.held(removing) {
		return notYet{fmt.Errorf("shmring: %w: it is being removed", ErrBusy)}
	}
	// From here on, no other process removes it.
	removed, err := b.place.removed()
	if err == nil && removed {
		err = notYet{fmt.Errorf("shmring: ring was removed: %w", fs.ErrNotExist)}
	}
	return err
}

func (b *base) anchorLine() line { return b.line(int(b.anchor.Fd())) }

// Made reports whether OpenOrCreate, OpenOrCreateKey or CreateUnnamed made the ring, rather
// than found it.
func (r *Ring) Made() bool { return r.made }

// Prefault makes all pages of a ring that owns its memory present, so that no later access
// waits for one or fails because there is no memory. Errors: ErrFault; ErrClosed;
// errors.ErrUnsupported (the ring is in memory of the caller).
func (r *Ring) Prefault() error { return r.prefault() }

func (b *base) prefault() error {
	if b.place == nil {
		return errNameless()
	}
	if err := b.place.prefault(); err != nil {
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	return nil
}

// Remove removes the name or the key of a ring, with all messages that were not received.
// It returns ErrBusy if another process has the ring open, or if handles of this Ring are
// open. A process that comes later makes a new ring. No process can join the removed ring;
// Close it. To leave the removal to the last process, use CloseAndRemove.
func (r *Ring) Remove() error { return r.remove() }

func (b *base) remove() error {
	unpin, err := b.pinNamed()
	if err != nil {
		return err
	}
	defer unpin()
	l := b.anchorLine()
	switch removed, err := b.place.removed(); {
	case err != nil:
		return err
	case removed:
		return nil
	}
	ok, err := b.exclude(l)
	switch {
	case err != nil:
		return fmt.Errorf("shmring: %w", err)
	case !ok:
		return fmt.Errorf("shmring: %w: by another process, or by a handle of this one", ErrBusy)
	}
	// Without presence, the name may lead to another ring by now.
	removed, err := b.place.removed()
	if err == nil && !removed {
		err = b.place.unlink()
	}
	if err != nil {
		return errors.Join(err, l.admit())
	}
	b.removed.Store(true)
	return nil // locked until Close, so that a process that has already found the ring sees that it is gone
}

// CloseAndRemove closes the ring like Close, and removes its name or key, with all messages
// that were not received, if no other process has the ring open. If every process leaves in
// this way, the last one removes the ring, even if several leave at the same time: Remove
// before Close does not ensure that, because each may find that another still has it open.
// Close the handles first; otherwise the error is EBUSY and nothing is done.
func (r *Ring) CloseAndRemove() error { return r.closeAndRemove(r.Close) }

func (b *base) closeAndRemove(closeIt func() error) error {
	unpin, err := b.pinNamed()
	if err != nil {
		return err
	}
	l := b.anchorLine()
	l.release(presence)
	err = b.remove()
	unpin()
	if errors.Is(err, ErrBusy) {
		err = nil
	}
	closed := closeIt()
	if errors.Is(closed, syscall.EBUSY) { // handles are open, whose locks have made remove fail
		return errors.Join(closed, err, l.hold(presence))
	}
	return errors.Join(err, closed)
}

// Unlink removes the name or the key at once, even though processes have the ring open:
// they go on using it, and its memory is freed when the last of them ends. A process that
// comes later makes a new ring. Once all processes have opened the ring, Unlink ensures
// that nothing of it stays behind, even if all of them are killed.
func (r *Ring) Unlink() error { return r.unlink() }

func (b *base) unlink() error {
	unpin, err := b.pinNamed()
	if err != nil {
		return err
	}
	defer unpin()
	for range unlinkAttempts {
		removed, err := b.place.removed()
		if removed || err != nil {
			return err
		}
		done, err := b.place.takeTurn(b.anchorLine())
		switch {
		case err != nil:
			return fmt.Errorf("shmring: %w", err)
		case done == nil: // another process is unlinking it
			time.Sleep(time.Millisecond)
			continue
		}
		defer done()
		// The name may lead to another ring by now.
		if removed, err := b.place.removed(); removed || err != nil {
			return err
		}
		return b.place.unlink()
	}
	return fmt.Errorf("shmring: %w: another process is removing it", ErrBusy)
}

// unlinkAttempts bounds how long Unlink waits for a process that was stopped in Unlink.
const unlinkAttempts = 1000

// pinNamed is pin for a ring with a name or a key.
func (b *base) pinNamed() (unpin func(), err error) {
	if b.place == nil || b.object() != nil {
		return nil, errNameless()
	}
	if unpin, err = b.pin(); err != nil {
		return nil, fmt.Errorf("shmring: %w", closedOr(err))
	}
	return unpin, nil
}

func errNameless() error {
	return fmt.Errorf("shmring: %w: it has neither a name nor a key", errors.ErrUnsupported)
}

// exclude makes sure that no other process has the ring open, and that none opens or joins
// it.
func (b *base) exclude(l line) (bool, error) {
	if b.place.death() == byFile {
		return l.exclude()
	}
	// The file of a namespace can only be locked shared. A process that opens the ring takes
	// presence, then checks removing; this process takes removing, then checks presence. So
	// at least one of the two sees the other.
	if l.inUse() {
		return false, nil
	}
	if err := l.hold(removing); err != nil {
		return false, err
	}
	if l.inUse() {
		l.release(removing)
		return false, nil
	}
	return true, nil
}

// goes reports whether the ring is being removed, or was. If its locks are in its own file,
// no check is needed: they cannot be taken then.
func (b *base) goes(l line) bool {
	if b.place != nil {
		return b.removed.Load()
	}
	return b.pre.death.Load() == byNamespace && l.held(removing)
}

// closedOr returns ErrClosed if err means a closed file or unmapped memory, and err
// otherwise.
func closedOr(err error) error {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, posix.ErrUnmapped) || errors.Is(err, sysv.ErrDetached) {
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
