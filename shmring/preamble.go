package shmring

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/sysvipc/gipc/internal/lifeline"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/internal/spin"
)

// A preamble is the beginning of all memory of this package. It says what the memory holds,
// how large it is, and how members see each other's death.
type preamble struct {
	magic      atomic.Uint64    // 0, written last
	version    atomic.Uint32    // 8
	headerSize atomic.Uint32    // 12
	compatible atomic.Uint64    // 16, features that a process need not know
	required   atomic.Uint64    // 24, features that it must know
	id         [2]atomic.Uint64 // 32, random
	size       atomic.Uint64    // 48, bytes of the whole memory
	capacity   atomic.Uint64    // 56, bytes of data
	states     atomic.Uint64    // 64, where the state words begin
	data       atomic.Uint64    // 72, where the data begins
	unit       atomic.Uint32    // 80
	slotCount  atomic.Uint32    // 84
	death      atomic.Uint32    // 88, which file has the locks of living members
	_          [4]byte
	locks      atomic.Uint64 // 96, offset of the first of them
	namespace  atomic.Uint64 // 104, the IPC namespace's inode, if byNamespace
	boot       atomic.Uint64 // 112, the boot in which it was made
	_          [8]byte
}

// A format is a kind of memory and the version of its layout.
type format struct {
	magic   uint64
	version uint32
	what    string // for messages
}

// formats returns the formats of all kinds.
func formats() []format {
	return []format{
		{magic, version, "a ring"},
		{broadcastMagic, broadcastVersion, "a broadcast"},
		{cellMagic, cellVersion, "a cell"},
		{serviceMagic, serviceVersion, "a service"},
	}
}

// parts says how long the data is, and where the parts of an object lie.
type parts struct{ capacity, states, data uint64 }

// write makes a new object in mem and zeroes everything before the data. The caller sets
// the magic and the words of the kind.
func (f format) write(mem []byte, p parts) error {
	h := preambleOf(mem)
	h.magic.Store(0) // nobody opens it until it is finished
	clear(mem[8:headerSize])
	h.version.Store(f.version)
	h.headerSize.Store(headerSize)
	h.size.Store(uint64(len(mem)))
	h.capacity.Store(p.capacity)
	h.states.Store(p.states)
	h.data.Store(p.data)
	h.unit.Store(unit)
	h.slotCount.Store(slotCount)
	h.boot.Store(bootID())
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	h.id[0].Store(binary.NativeEndian.Uint64(id[:]))
	h.id[1].Store(binary.NativeEndian.Uint64(id[8:]))
	h.locks.Store(lockBase(h.ringID()))
	return h.place(mem[headerSize:p.data])
}

// place makes the memory between header and data zero, and decides where the locks are.
func (h *preamble) place(table []byte) error {
	f, at, err := h.openFile()
	if err != nil {
		var namespace uint64
		if f, namespace, err = lifeline.OpenNamespace(); err != nil {
			return err
		}
		clear(table)
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
		clearData(table, f, at+headerSize)
	}
	return err
}

// identify checks that mem holds an object of the format, and that all its required
// features are known.
func (f format) identify(mem []byte, known uint64) error {
	if len(mem) < headerSize {
		return fmt.Errorf("shmring: %w: %d bytes", ErrNotRing, len(mem))
	}
	h := preambleOf(mem)
	switch m := h.magic.Load(); m {
	case f.magic:
	case bits.ReverseBytes64(f.magic):
		return fmt.Errorf("shmring: %w", ErrByteOrder)
	default:
		for _, other := range formats() {
			if m == other.magic {
				return fmt.Errorf("shmring: %w: it holds %s, not %s", ErrNotRing, other.what, f.what)
			}
		}
		return fmt.Errorf("shmring: %w", ErrNotRing)
	}
	if v := h.version.Load(); v != f.version {
		return fmt.Errorf("shmring: %w: %d, want %d", ErrVersion, v, f.version)
	}
	if unknown := h.required.Load() &^ known; unknown != 0 {
		return fmt.Errorf("shmring: %w: it has features %#x", ErrVersion, unknown)
	}
	if all := h.size.Load(); all != uint64(len(mem)) {
		return fmt.Errorf("shmring: %w: %s of %d bytes, the memory has %d", ErrSize, f.what, all, len(mem))
	}
	locks, death := h.locks.Load(), h.death.Load()
	if h.unit.Load() != unit || h.slotCount.Load() != slotCount || h.headerSize.Load() != headerSize ||
		locks%lockSpan != 0 || locks >= 1<<62 || death != byFile && death != byNamespace {
		return fmt.Errorf("shmring: %w: header", ErrCorrupt)
	}
	return nil
}

// A base holds what a Ring, a Broadcast, a Cell and a Service have in common: memory,
// roles, and a file with locks that show who is alive.
type base struct {
	pre     *preamble
	members []member       // none in a cell
	tickets *atomic.Uint64 // how many were drawn
	spin    bool           // whether spinning makes sense
	self    label

	memory  Memory      // nil if the caller keeps it mapped
	place   place       // nil if the caller owns the memory
	made    bool        // by OpenOrCreate
	outlive bool        // see NamedOptions
	removed atomic.Bool // by Remove
	anchor  *os.File    // the file with the locks, which lines open again
	locks   int64       // where they begin
	id      [16]byte
}

// open opens the file with the locks. The caller sets members and tickets.
func (b *base) open(mem []byte) error {
	h := preambleOf(mem)
	b.pre, b.spin, b.self = h, spin.Useful(), thisProcess()
	b.locks, b.id = int64(h.locks.Load()), h.ringID().bytes()
	var err error
	if b.anchor, err = h.openAnchor(); err != nil {
		return err
	}
	if err := b.checkBoot(); err != nil {
		return errors.Join(err, b.anchor.Close())
	}
	return nil
}

// checkBoot returns ErrStale for an object of an earlier run of the system. Containers
// often have a boot id of their own. So a difference counts only if the memory can outlive
// the system and no member is alive.
func (b *base) checkBoot() error {
	made, now := b.pre.boot.Load(), bootID()
	if made == now || made == 0 || now == 0 || b.pre.death.Load() != byFile {
		return nil
	}
	l, err := b.lifeline()
	if err != nil {
		return err
	}
	defer l.Close()
	if !l.Outlives() {
		return nil
	}
	for i := range presence + 1 {
		if l.held(i) {
			return nil
		}
	}
	return fmt.Errorf("shmring: %w", ErrStale)
}

// pin keeps the memory mapped until release is called.
func (b *base) pin() (release func(), err error) {
	if b.memory == nil {
		return func() {}, nil
	}
	return b.memory.Pin()
}

// close closes the descriptor, and unmaps the memory of a place.
func (b *base) close() error {
	release := b.anchor.Close
	if b.place != nil {
		release = b.place.close
	}
	if err := release(); err != nil {
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	return nil
}

// within calls open with the memory pinned.
func within(mem Memory, open func([]byte) error) error {
	release, err := mem.Pin()
	if err != nil {
		return err
	}
	defer release()
	return open(mem.Bytes())
}

// guarded calls f, and returns ErrFault if the memory is not there. futex(2) reports that
// as EFAULT.
func guarded(f func() error) error {
	var err error
	fault := memory.Guard(func() error { err = f(); return nil })
	if fault == nil && errors.Is(err, syscall.EFAULT) {
		fault = ErrFault
	}
	if fault != nil {
		return fmt.Errorf("shmring: %w", fault)
	}
	return err
}
