package shmsync

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"

	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/lifeline"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/internal/spin"
)

// Errors of NewMutex, NewRWMutex and NewCond.
var (
	// ErrNotLock means that the memory holds something else.
	ErrNotLock = errors.New("memory holds no lock of this kind")
	// ErrMismatch means that the Cond belongs to another Mutex.
	ErrMismatch = errors.New("condition belongs to another mutex")
	// ErrVersion means that the lock has another version of the layout, a feature that
	// this package does not know, or the other byte order.
	ErrVersion = errors.New("lock has another version")
	// ErrForeign means that this process and the others could not notice each other's
	// deaths: it is in another IPC namespace than the lock, or finds neither a name nor an
	// open descriptor of the memory's file.
	ErrForeign = errors.New("lock can't be used from here")
	// ErrAlignment means that the lock would not begin at a multiple of 64.
	ErrAlignment = memory.ErrAlignment
	// ErrBounds means that the lock would not be within the memory.
	ErrBounds = memory.ErrBounds
	// ErrReadOnly means that the memory can't be written.
	ErrReadOnly = memory.ErrReadOnly
	// ErrFault means that the kernel cannot provide a page of the memory: /dev/shm is
	// full, or the object was truncated.
	ErrFault = memory.ErrFault
)

// Memory is a posix.Mapping or a sysv.Attachment.
type Memory interface {
	Bytes() []byte
	Pin() (release func(), err error)
	ReadOnly() bool
}

// NewMutex returns the lock in the MutexSize bytes at offset off of mem, a multiple of 64.
// Memory of zeros, such as that of a new object, becomes a lock that nobody holds; any
// process may be the first to open it. The Mutex keeps mem mapped, and a descriptor open,
// until Close. It holds no other resources, so each process, and each part of a process,
// may have its own Mutex.
//
// Errors: ErrNotLock, ErrVersion, ErrCorrupt, ErrForeign, ErrAlignment, ErrBounds,
// ErrReadOnly, ErrFault; those of mem.Pin; fs.ErrNotExist without /proc, which it needs;
// errors.ErrUnsupported where package atomic has no 64-bit operations that work between
// processes (mips, and arm before version 7) and outside Linux.
func NewMutex(mem Memory, off int) (*Mutex, error) {
	m := newMutex()
	release, err := open(mem, off, func(w *words) error { return m.join(w, 0) })
	m.release = release
	if err != nil {
		return nil, err
	}
	return m, nil
}

func newMutex() *Mutex {
	m := &Mutex{spin: spin.Useful()}
	m.budget.Store(spinMost / 4)
	return m
}

// open pins the memory and calls join with the T at an offset of it. The caller calls
// release if there is no error.
func open[T words | rwWords | condWords](mem Memory, off int, join func(*T) error) (release func(), err error) {
	if !futex.Words64 {
		return nil, fmt.Errorf("shmsync: %w", errors.ErrUnsupported)
	}
	release, err = mem.Pin()
	if err != nil {
		return nil, fmt.Errorf("shmsync: %w", err)
	}
	w, err := place[T](mem, off)
	if err == nil {
		err = memory.Guard(func() error { return join(w) })
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("shmsync: %w", err)
	}
	return release, nil
}

func place[T words | rwWords | condWords](mem Memory, off int) (*T, error) {
	b, size := mem.Bytes(), sizeOf[T]()
	switch {
	case off < 0 || off > len(b) || len(b)-off < size:
		return nil, fmt.Errorf("%w: %d bytes at offset %d of %d", ErrBounds, size, off, len(b))
	case mem.ReadOnly():
		return nil, ErrReadOnly
	}
	w := at[T](b, off)
	if w == nil {
		return nil, fmt.Errorf("%w: offset %d, alignment %d", ErrAlignment, off, alignment)
	}
	return w, nil
}

// join makes the words a lock with these features, unless they are one already, and draws
// a ticket.
func (m *Mutex) join(w *words, features uint32) error {
	m.words.Store(w)
	err := w.check(features)
	if err == nil && w.magic.Load() == 0 {
		err = w.make(features)
	}
	if err != nil {
		return err
	}
	anchor, err := w.openAnchor()
	if err != nil {
		return err
	}
	defer anchor.Close()
	fd, err := lifeline.Reopen(anchor)
	if err != nil {
		return err
	}
	m.line = lifeline.Line{FD: fd, Base: firstLock}
	ticket := w.tickets.Add(1)
	if !validTickets(ticket) {
		err = corrupt("tickets", ticket)
	} else if err = m.line.Hold(int64(ticket)); err == nil && m.line.Held(int64(ticket)) {
		err = corrupt("ticket drawn twice", ticket)
	}
	if err != nil {
		m.line.Close()
		return err
	}
	m.self = ticket << ownerShift
	return nil
}

// check returns an error unless the words are a lock or the beginning of one.
func (w *words) check(features uint32) error {
	v, death, tickets, has := w.version.Load(), w.death.Load(), w.tickets.Load(), w.required.Load()
	begun := (v == 0 || v == version) && (death == 0 || validDeath(death)) && (tickets == 0 || validTickets(tickets)) && (has == 0 || has == features)
	switch w.magic.Load() {
	case 0:
		// Another process may have completed the lock meanwhile, and have locked it.
		if !begun || (w.lock.Load() != 0 || w.since.Load() != 0 || w.turn.Load() != 0 || w.call.Load() != 0) && w.magic.Load() != magic {
			return ErrNotLock
		}
		return nil
	case magic:
	case bits.ReverseBytes64(magic):
		return fmt.Errorf("%w: it has the other byte order", ErrVersion)
	default:
		return ErrNotLock
	}
	switch {
	case v != version:
		return fmt.Errorf("%w: %d, want %d", ErrVersion, v, version)
	case has&^featureRW != 0:
		return fmt.Errorf("%w: it has features %#x", ErrVersion, has)
	case has != features:
		return ErrNotLock
	case !begun || death == 0 || tickets == 0 || w.id.Load() == 0:
		return corrupt("header", death)
	}
	return nil
}

func validTickets(n uint64) bool { return n >= leastTicket && n < mostTicket+allTickets }

func validDeath(n uint64) bool {
	return n == byFile || n>>32 != 0 && n&(1<<32-1) == byNamespace
}

// make fills in the words that are still 0.
func (w *words) make(features uint32) error {
	w.id.CompareAndSwap(0, rand.Uint64()|1)
	if w.death.Load() == 0 {
		death := uint64(byFile)
		f, _, err := w.openFile()
		if err != nil {
			var inode uint64
			if f, inode, err = lifeline.OpenNamespace(); err != nil {
				return err
			}
			death = inode<<32 | byNamespace
		}
		if err := f.Close(); err != nil {
			return err
		}
		w.death.CompareAndSwap(0, death)
	}
	w.tickets.CompareAndSwap(0, leastTicket+rand.Uint64N(mostTicket-leastTicket))
	w.required.CompareAndSwap(0, features)
	w.version.CompareAndSwap(0, version)
	w.magic.CompareAndSwap(0, magic)
	return w.check(features)
}

// openFile opens the file that the memory is mapped from.
func (w *words) openFile() (*os.File, int64, error) {
	var id [8]byte
	binary.NativeEndian.PutUint64(id[:], w.id.Load())
	return lifeline.OpenFile(w.idAddress(), id[:])
}

// openAnchor opens the file with the kernel's locks.
func (w *words) openAnchor() (*os.File, error) {
	death := w.death.Load()
	if death == byFile {
		f, _, err := w.openFile()
		if err != nil {
			return nil, fmt.Errorf("%w: its file can't be opened: %w", ErrForeign, err)
		}
		return f, nil
	}
	f, err := lifeline.OpenNamespaceOf(death >> 32)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return f, nil
}

// corrupt returns the error for a value that no process may write.
func corrupt(what string, value uint64) error {
	return fmt.Errorf("%w: %s %#x", ErrCorrupt, what, value)
}
