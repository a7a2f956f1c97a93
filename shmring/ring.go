package shmring

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
)

// Errors of Create and Open.
var (
	// ErrNotRing means that the memory holds no ring, or one that is not complete yet. If
	// another process is making it, try again.
	ErrNotRing = errors.New("memory holds no ring")
	// ErrVersion means that the ring has another version of the layout.
	ErrVersion = errors.New("ring has another version")
	// ErrByteOrder means that a machine of the other byte order made the ring.
	ErrByteOrder = errors.New("ring has the other byte order")
	// ErrSize means that the memory is too small, or that its size is not that of the
	// ring.
	ErrSize = errors.New("invalid size")
	// ErrAlignment means that the memory does not begin at a multiple of 8.
	ErrAlignment = errors.New("memory is not aligned")
	// ErrStale means that the ring is in a file on a disk and from before the system
	// restarted: its last writes may be missing.
	ErrStale = errors.New("ring is from before the last start of the system")
	// ErrForeign means that this process and the other members could not detect each
	// other's death. Either it is in another IPC namespace than the ring, or it finds no
	// name and no open descriptor of the ring's file. See "Death" in the package
	// documentation.
	ErrForeign = errors.New("ring can't be joined from here")
	// ErrFault means that a page of the memory is not available: /dev/shm is full, or the
	// object was truncated.
	ErrFault = memory.ErrFault
)

// Errors of the handles.
var (
	// ErrBusy means that the role of the consumer or of the single producer is taken, or that
	// all 64 producers' roles are, by this process or by others. They are alive, or cannot be
	// checked.
	ErrBusy = errors.New("in use")
	// ErrClosed means that the handle is closed, or that the consumer has closed.
	ErrClosed = errors.New("ring is closed")
	// ErrPeerDied means that a process of the other side ended without closing.
	ErrPeerDied = errors.New("process of the other side has died")
	// ErrTooLarge means that a message is longer than MaxMessage.
	ErrTooLarge = errors.New("message is too large")
	// ErrClaim means that there is an open claim already, or that the claim has ended.
	ErrClaim = errors.New("one claim at a time, committed or aborted once")
	// ErrCorrupt means that another process has written something invalid. The ring cannot
	// be used any more.
	ErrCorrupt = errors.New("ring is corrupt")
)

// Producers is the number of producers that a ring can have at a time: One or Many.
type Producers uint32

const (
	// One producer: a claim is cheap, and no other process sees it before its commit.
	One Producers = 1
	// Many producers, up to 64.
	Many Producers = 2
)

// Options holds the options of Create. nil means the zero value.
type Options struct {
	// Producers is One or Many; 0 means One.
	Producers Producers
	// Capacity is the number of bytes for messages, a power of two of at least 4096. 0
	// means the largest that fits. That is half of the memory if its length is a power of
	// two, because the ring also needs room for itself; see Size.
	Capacity int
}

// A Ring is a ring in mapped memory. It holds one open descriptor, see Close. A Ring of
// CreateIn or OpenIn keeps its memory mapped while one of its handles is open. The memory
// of Create or Open must stay mapped while the Ring or a handle is used.
type Ring struct {
	base
	geometry
	header *header
	states []atomic.Uint64
	data   []byte
	many   bool
}

// A Memory is mapped memory that can be pinned: a *posix.Mapping or a *sysv.Attachment.
type Memory interface {
	// Bytes returns the memory, or nil if it is unmapped.
	Bytes() []byte
	// Pin keeps the memory mapped until release is called. It fails if the memory is
	// unmapped.
	Pin() (release func(), err error)
}

// CreateIn is Create in memory that it can pin: while a Producer or Consumer of the ring
// is open, unmapping the memory fails with EBUSY.
func CreateIn(mem Memory, o *Options) (*Ring, error) {
	return ringIn(mem, func(b []byte) (*Ring, error) { return Create(b, o) })
}

// OpenIn is Open in memory that it can pin, like CreateIn.
func OpenIn(mem Memory) (*Ring, error) { return ringIn(mem, Open) }

func ringIn(mem Memory, ring func([]byte) (*Ring, error)) (r *Ring, err error) {
	err = within(mem, func(b []byte) error { r, err = ring(b); return err })
	if err != nil {
		return nil, err
	}
	r.memory = mem
	return r, nil
}

// Close closes the descriptor of the Ring. No process can join through this Ring any more;
// its handles stay open. A Ring that is not closed is closed by the garbage collector.
//
// Close also unmaps the memory of a ring with a name or a key, or of CreateUnnamed or
// OpenUnnamed. Close the handles first; otherwise the error is EBUSY.
func (r *Ring) Close() error { return r.close() }

// Size returns the number of bytes of memory that a ring of this capacity needs. capacity
// is a power of two of at least 4096.
func Size(capacity int) int { return int(dataOffset(uint64(capacity)) + uint64(capacity)) }

// Create makes an empty ring in mem and returns it. It overwrites mem, which no other
// process may be using. Other processes must map the same memory, from its first byte and
// with the same length.
//
// Sending a message may need new pages. If /dev/shm is full then, the program dies. To
// prevent this, reserve the memory first: posix.ObjectOptions.Reserve, or Prefault.
//
// Errors: ErrSize, ErrAlignment, ErrFault; fs.ErrNotExist without /proc;
// errors.ErrUnsupported outside Linux and where 64-bit atomic operations do not work
// between processes (mips, and arm before version 7).
func Create(mem []byte, o *Options) (*Ring, error) { return create(mem, o, nil) }

// create makes a ring, or a Chan if there is a schema.
func create(mem []byte, o *Options, values *schema) (*Ring, error) {
	if o == nil {
		o = new(Options)
	}
	if err := usable(mem); err != nil {
		return nil, err
	}
	mode := max(o.Producers, One)
	g, err := layOut(len(mem), *o)
	if err != nil {
		return nil, err
	}
	if err := guarded(func() error { return writeHeader(mem, g, mode, values) }); err != nil {
		return nil, err
	}
	return openAs(mem, values)
}

// ringFormat is the format of a ring.
func ringFormat() format { return formats()[0] }

func writeHeader(mem []byte, g geometry, mode Producers, values *schema) error {
	if err := ringFormat().write(mem, parts{g.capacity, headerSize, dataOffset(g.capacity)}); err != nil {
		return err
	}
	h := headerOf(mem)
	if mode == Many {
		h.required.Or(featureMany)
	}
	if values != nil {
		h.required.Or(featureTyped)
		values.store(&h.schema)
	}
	// The first lap is 1, so words that are zero belong to no lap.
	h.tail.Store(g.capacity)
	h.head.Store(g.capacity)
	h.magic.Store(magic)
	return nil
}

// layOut determines the capacity.
func layOut(size int, o Options) (geometry, error) {
	if o.Producers > Many {
		return geometry{}, fmt.Errorf("shmring: %d is no number of producers", o.Producers)
	}
	c := uint64(o.Capacity)
	if c == 0 {
		for c = maxCapacity; c > minCapacity && dataOffset(c)+c > uint64(size); c /= 2 {
		}
	}
	switch {
	case c < minCapacity || c > maxCapacity || bits.OnesCount64(c) != 1:
		return geometry{}, fmt.Errorf("shmring: %w: capacity %d is not a power of two from %d on", ErrSize, o.Capacity, minCapacity)
	case dataOffset(c)+c > uint64(size):
		return geometry{}, fmt.Errorf("shmring: %w: capacity %d takes %d bytes, there are %d", ErrSize, c, dataOffset(c)+c, size)
	}
	return geometry{capacity: c, mask: c - 1}, nil
}

// Open returns the ring that Create made in mem, in this process or another. mem must be
// writable, because taking a role writes to it. Errors: ErrNotRing, ErrVersion,
// ErrByteOrder, ErrSize, ErrAlignment, ErrStale, ErrForeign, ErrCorrupt, ErrFault;
// errors.ErrUnsupported as for Create.
func Open(mem []byte) (*Ring, error) { return openAs(mem, nil) }

// openAs opens a ring or, if there is a schema, a Chan of such values.
func openAs(mem []byte, values *schema) (r *Ring, err error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	err = guarded(func() error { r, err = openRing(mem, values); return err })
	return r, err
}

func openRing(mem []byte, values *schema) (*Ring, error) {
	if err := ringFormat().identify(mem, knownFeatures); err != nil {
		return nil, err
	}
	h := headerOf(mem)
	switch typed := h.required.Load()&featureTyped != 0; {
	case typed && values != nil:
		if err := values.check(&h.schema); err != nil {
			return nil, err
		}
	case typed:
		return nil, fmt.Errorf("shmring: %w: it is a Chan", ErrMismatch)
	case values != nil:
		return nil, fmt.Errorf("shmring: %w: it is a ring, not a Chan", ErrMismatch)
	}
	g, err := h.geometry()
	if err != nil {
		return nil, err
	}
	r := &Ring{geometry: g, header: h, many: h.required.Load()&featureMany != 0}
	r.members, r.tickets = h.members[:], &h.tickets
	r.states, r.data = overlay(mem, g)
	if err := r.open(mem); err != nil {
		return nil, err
	}
	return r, nil
}

// geometry checks what the header says about the layout.
func (h *header) geometry() (g geometry, err error) {
	c := h.capacity.Load()
	if c < minCapacity || c > maxCapacity || bits.OnesCount64(c) != 1 || dataOffset(c)+c > h.size.Load() ||
		h.states.Load() != headerSize || h.data.Load() != dataOffset(c) {
		return g, fmt.Errorf("shmring: %w: header", ErrCorrupt)
	}
	return geometry{capacity: c, mask: c - 1}, nil
}

func usable(mem []byte) error {
	switch {
	case !futex.Words64:
		return fmt.Errorf("shmring: %w", errors.ErrUnsupported)
	case !aligned(mem):
		return fmt.Errorf("shmring: %w", ErrAlignment)
	}
	return nil
}

// ID returns the random id of the ring, which differs from that of any other ring.
func (r *Ring) ID() [16]byte { return r.id }

// Capacity returns the number of bytes of messages that the ring can hold, where each
// message counts as its length rounded up to a multiple of 64.
func (r *Ring) Capacity() int { return int(r.capacity) }

// MaxMessage returns the length of the longest message: half the capacity.
func (r *Ring) MaxMessage() int { return int(r.capacity / 2) }

// Producers returns whether the ring is for One producer or Many.
func (r *Ring) Producers() Producers {
	if r.many {
		return Many
	}
	return One
}

// corrupt returns the error for an invalid value in the memory.
func corrupt(what string, value uint64) error {
	return fmt.Errorf("shmring: %w: %s %#x", ErrCorrupt, what, value)
}
