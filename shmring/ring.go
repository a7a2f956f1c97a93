package shmring

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/lifeline"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/internal/spin"
)

// Errors of Create and Open.
var (
	// ErrNotRing says that the memory holds no ring, or none that is finished yet:
	// whoever waits for another process to make it tries again.
	ErrNotRing = errors.New("memory holds no ring")
	// ErrVersion says that the ring has another version of the layout.
	ErrVersion = errors.New("ring has another version")
	// ErrByteOrder says that a machine of the other byte order made the ring.
	ErrByteOrder = errors.New("ring has the other byte order")
	// ErrSize says that the memory is too small, or of another size than the ring.
	ErrSize = errors.New("memory is not of the ring's size")
	// ErrAlignment says that the memory does not begin at a multiple of 8.
	ErrAlignment = errors.New("memory is not aligned")
	// ErrStale says that the ring is in a file on a disk, from before the system was
	// started: what was written last may be missing.
	ErrStale = errors.New("ring is from before the last start of the system")
	// ErrForeign says that this process could not be told of the others' deaths, nor
	// they of its own: it is in another IPC namespace than the ring, or finds no name
	// and no open descriptor of the ring's file; see the package's part on death.
	ErrForeign = errors.New("ring can't be joined from here")
	// ErrFault says that there is no page behind the memory: /dev/shm is full, or
	// somebody has made the object shorter.
	ErrFault = memory.ErrFault
)

// Errors of the handles.
var (
	// ErrBusy says that another process, which is alive or can't be seen, has the
	// role: the consumer's, or that of a single producer, or all slots of several.
	ErrBusy = errors.New("ring is in use by another process")
	// ErrClosed says that the handle is closed, or that the consumer has closed.
	ErrClosed = errors.New("ring is closed")
	// ErrPeerDied says that the process of the other side ended without closing.
	ErrPeerDied = errors.New("process of the other side has died")
	// ErrTooLarge says that a message is longer than MaxMessage.
	ErrTooLarge = errors.New("message is too large for the ring")
	// ErrClaim says that there is a claim under way, or that there is none any more.
	ErrClaim = errors.New("one claim at a time, committed or aborted once")
	// ErrCorrupt says that another process has written what no process may. The
	// ring can't be used any more.
	ErrCorrupt = errors.New("ring is corrupt")
)

// Producers says how many producers a ring can have at a time.
type Producers uint32

const (
	// One producer: a claim costs nothing, and is seen by nobody before its commit.
	One Producers = 1
	// Many producers, up to 64.
	Many Producers = 2
)

// Options says how Create lays out a ring.
type Options struct {
	// Producers is One or Many; 0 is One.
	Producers Producers
	// Capacity is the number of bytes for messages, a power of two of at least 4096.
	// 0 takes the largest for which there is room: of memory whose length is itself a
	// power of two that is half, since the ring needs some for its own; see Size.
	Capacity int
}

// A Ring is memory with a ring in it, and one open descriptor: see Close. A Ring of
// CreateIn or OpenIn keeps its memory mapped while a handle made from it is open. The
// memory of any other Ring must stay mapped while the Ring or a handle is used.
type Ring struct {
	geometry
	memory Memory // nil if the caller keeps it mapped
	header *header
	states []atomic.Uint64
	data   []byte
	many   bool
	spin   bool // whether spinning makes sense
	self   label

	named  *named   // of OpenOrCreate
	anchor *os.File // the file with the locks, for others of it to be opened
	locks  int64    // where they begin
	id     [16]byte
}

// Memory is mapped memory that can be kept mapped: a *posix.Mapping or a
// *sysv.Attachment.
type Memory interface {
	// Bytes returns the memory, nil once it is unmapped.
	Bytes() []byte
	// Pin keeps the memory mapped until release is called. It fails if the memory is
	// unmapped already.
	Pin() (release func(), err error)
}

// CreateIn is Create in memory that knows of the ring: as long as a Producer or a
// Consumer of it is open, unmapping the memory fails with EBUSY.
func CreateIn(mem Memory, o Options) (*Ring, error) {
	return within(mem, func(b []byte) (*Ring, error) { return Create(b, o) })
}

// OpenIn is Open in memory that knows of the ring, like that of CreateIn.
func OpenIn(mem Memory) (*Ring, error) { return within(mem, Open) }

func within(mem Memory, ring func([]byte) (*Ring, error)) (*Ring, error) {
	release, err := mem.Pin()
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := ring(mem.Bytes())
	if err != nil {
		return nil, err
	}
	r.memory = mem
	return r, nil
}

// Close releases the descriptor that the Ring has of the file of its memory, or of the
// IPC namespace. Nobody can join through this Ring any more; handles that it has made
// stay open. A Ring that is not closed does this when it is garbage.
//
// A Ring of OpenOrCreate also unmaps its memory: close its handles first, else the error
// is EBUSY.
func (r *Ring) Close() error {
	var err error
	if r.named == nil {
		err = r.anchor.Close()
	} else if err = r.named.mapping.Unmap(); err == nil {
		err = r.named.object.Close()
	}
	if err != nil {
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	return nil
}

// pin keeps the memory mapped until release is called.
func (r *Ring) pin() (release func(), err error) {
	if r.memory == nil {
		return func() {}, nil
	}
	return r.memory.Pin()
}

// Size returns how many bytes of memory a ring of this capacity, a power of two of at
// least 4096, takes.
func Size(capacity int) int { return int(dataOffset(uint64(capacity)) + uint64(capacity)) }

// Create lays out an empty ring in mem and returns it. Whatever was in mem is lost:
// no other process may use it meanwhile. The memory is one that other processes
// map too, from its first byte on and as long.
//
// Messages take pages when they are sent, and a full /dev/shm ends the program then.
// Set the memory aside first: posix.ObjectOptions.Reserve, or Prefault.
//
// Errors: ErrSize, ErrAlignment, ErrFault; fs.ErrNotExist without /proc, which it needs;
// errors.ErrUnsupported where package atomic
// has no 64-bit operations that work between processes (mips, and arm before version 7)
// and outside Linux.
func Create(mem []byte, o Options) (*Ring, error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	mode := max(o.Producers, One)
	g, err := layOut(len(mem), o)
	if err != nil {
		return nil, err
	}
	if err := memory.Guard(func() error { return writeHeader(mem, g, mode) }); err != nil {
		return nil, fmt.Errorf("shmring: %w", err)
	}
	return Open(mem)
}

func writeHeader(mem []byte, g geometry, mode Producers) error {
	h := headerOf(mem)
	h.magic.Store(0) // nobody opens it until it is finished
	clear(mem[8:headerSize])
	h.version.Store(version)
	h.headerSize.Store(headerSize)
	if mode == Many {
		h.required.Store(featureMany)
	}
	h.size.Store(uint64(len(mem)))
	h.capacity.Store(g.capacity)
	h.states.Store(headerSize)
	h.data.Store(dataOffset(g.capacity))
	h.unit.Store(unit)
	h.slotCount.Store(slotCount)
	h.boot.Store(bootID())
	// The first lap is 1, so that the zero words belong to none.
	h.tail.Store(g.capacity)
	h.head.Store(g.capacity)
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	h.id[0].Store(binary.NativeEndian.Uint64(id[:]))
	h.id[1].Store(binary.NativeEndian.Uint64(id[8:]))
	h.locks.Store(lockBase(h.ringID()))
	if err := h.place(mem[headerSize:dataOffset(g.capacity)]); err != nil {
		return err
	}
	h.magic.Store(magic)
	return nil
}

// place makes the state words zero, and decides where the locks of the ring are.
func (h *header) place(states []byte) error {
	f, at, err := h.openFile()
	if err != nil {
		var namespace uint64
		if f, namespace, err = lifeline.OpenNamespace(); err != nil {
			return err
		}
		clear(states)
		h.death.Store(byNamespace)
		h.namespace.Store(namespace)
		return f.Close()
	}
	defer f.Close()
	h.death.Store(byFile)
	info, err := f.Stat()
	if err == nil && uint64(info.Size()) < uint64(at)+h.size.Load() {
		err = ErrFault
	}
	if err == nil {
		clearData(states, f, at+headerSize)
	}
	return err
}

// layOut chooses the capacity.
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

// Open returns the ring that Create, here or in another process, made in mem, which must
// be writable: whoever takes a role in a ring says so in it.
// Errors: ErrNotRing, ErrVersion, ErrByteOrder, ErrSize, ErrAlignment, ErrStale,
// ErrForeign, ErrCorrupt, ErrFault; errors.ErrUnsupported as for Create.
func Open(mem []byte) (r *Ring, err error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	fault := memory.Guard(func() error { r, err = openRing(mem); return nil })
	if fault != nil {
		return nil, fmt.Errorf("shmring: %w", fault)
	}
	return r, err
}

func openRing(mem []byte) (*Ring, error) {
	if len(mem) < headerSize {
		return nil, fmt.Errorf("shmring: %w: %d bytes", ErrNotRing, len(mem))
	}
	h := headerOf(mem)
	switch m := h.magic.Load(); m {
	case magic:
	case bits.ReverseBytes64(magic):
		return nil, fmt.Errorf("shmring: %w", ErrByteOrder)
	default:
		return nil, fmt.Errorf("shmring: %w", ErrNotRing)
	}
	if v := h.version.Load(); v != version {
		return nil, fmt.Errorf("shmring: %w: %d, want %d", ErrVersion, v, version)
	}
	features := h.required.Load()
	if unknown := features &^ knownFeatures; unknown != 0 {
		return nil, fmt.Errorf("shmring: %w: it has features %#x", ErrVersion, unknown)
	}
	g, err := h.geometry(len(mem))
	if err != nil {
		return nil, err
	}
	r := &Ring{
		geometry: g, header: h, many: features&featureMany != 0, spin: spin.Useful(), self: thisProcess(),
		locks: int64(h.locks.Load()), id: h.ringID().bytes(),
	}
	r.states, r.data = overlay(mem, g)
	if r.anchor, err = h.openAnchor(); err != nil {
		return nil, err
	}
	if err := r.checkBoot(); err != nil {
		return nil, errors.Join(err, r.anchor.Close())
	}
	return r, nil
}

// geometry checks what the header says of the layout.
func (h *header) geometry(size int) (g geometry, err error) {
	c, all, locks, death := h.capacity.Load(), h.size.Load(), h.locks.Load(), h.death.Load()
	switch {
	case all != uint64(size):
		return g, fmt.Errorf("shmring: %w: the ring has %d bytes, the memory %d", ErrSize, all, size)
	case c < minCapacity || c > maxCapacity || bits.OnesCount64(c) != 1 || dataOffset(c)+c > all,
		h.unit.Load() != unit || h.slotCount.Load() != slotCount || h.headerSize.Load() != headerSize,
		h.states.Load() != headerSize || h.data.Load() != dataOffset(c),
		locks%lockSpan != 0 || locks >= 1<<62, death != byFile && death != byNamespace:
		return g, fmt.Errorf("shmring: %w: header", ErrCorrupt)
	}
	return geometry{capacity: c, mask: c - 1}, nil
}

// checkBoot returns ErrStale for a ring of an earlier run of the system. Containers often
// have a boot id of their own: a difference means something only where memory can outlive
// the system, and nobody in the ring is alive.
func (r *Ring) checkBoot() error {
	made, now := r.header.boot.Load(), bootID()
	if made == now || made == 0 || now == 0 || r.header.death.Load() != byFile {
		return nil
	}
	l, err := r.lifeline()
	if err != nil {
		return err
	}
	defer l.Close()
	if !l.Outlives() {
		return nil
	}
	for i := range r.header.members {
		if l.held(i) {
			return nil
		}
	}
	return fmt.Errorf("shmring: %w", ErrStale)
}

func usable(mem []byte) error {
	switch {
	case !supported:
		return fmt.Errorf("shmring: %w", errors.ErrUnsupported)
	case !aligned(mem):
		return fmt.Errorf("shmring: %w", ErrAlignment)
	}
	return nil
}

// ID returns the random number of the ring, by which it can be told from any other.
func (r *Ring) ID() [16]byte { return r.id }

// Capacity returns how many bytes of messages the ring holds, each rounded up to a
// multiple of 64.
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

// corrupt makes the error for something that another process must not have written.
func corrupt(what string, value uint64) error {
	return fmt.Errorf("shmring: %w: %s %#x", ErrCorrupt, what, value)
}
