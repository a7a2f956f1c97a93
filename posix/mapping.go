package posix

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// Prot says what a mapping's memory may be used for. The zero value stands for
// ProtRead|ProtWrite.
type Prot int

// The kinds of access, to be or-ed.
const (
	ProtRead  Prot = 1 << iota // PROT_READ
	ProtWrite                  // PROT_WRITE; on most architectures memory that can be written can be read
	ProtExec                   // PROT_EXEC
	ProtNone                   // PROT_NONE: no access; not together with others
)

// writable tells whether p allows writing.
func (p Prot) writable() bool { return p == 0 || p&ProtWrite != 0 }

func (p Prot) check() error {
	if p&^(ProtRead|ProtWrite|ProtExec|ProtNone) != 0 || p&ProtNone != 0 && p != ProtNone {
		return refused("protection %#x", int(p))
	}
	return nil
}

// MapOptions says how an object or a file is mapped. The zero value maps all of it
// for reading and writing, shared with all others who map it.
type MapOptions struct {
	Offset int64   // where the mapping begins, a multiple of the page size
	Length int     // bytes; 0 means up to the end
	Prot   Prot    // what the memory may be used for
	Addr   uintptr // where to map (MAP_FIXED_NOREPLACE): EEXIST if something is there; 0 lets the kernel choose
	// Private (MAP_PRIVATE) gives the process its own copy of every page that it
	// writes; others never see it.
	Private bool
	// NoReserve (MAP_NORESERVE) sets no swap space or huge pages aside.
	NoReserve bool
}

// A Mapping is memory mapped into this process: an object, a file, or memory of its
// own. It lasts until Unmap or the end of the process, also when the object is
// closed and unlinked. The garbage collector never ends it.
//
// ReadAt and WriteAt check bounds, access and life, and return ErrFault for a part
// that was truncated away; they may be used by several goroutines; they do not
// synchronise with other processes. Bytes and View give the memory itself, which is
// faster and forgives nothing.
type Mapping struct {
	region *memory.Region
	addr   uintptr
	name   string
	page   int // bytes of one of its pages, which may be huge
	hold   *hold
}

var (
	_ io.ReaderAt = (*Mapping)(nil)
	_ io.WriterAt = (*Mapping)(nil)
)

// Map maps the object (mmap(2)). What is mapped must lie within the object: of an
// object of size 0 nothing can be. Errors: ErrBounds, EACCES (opened ReadOnly, but
// shared and writable), EINVAL (an offset that is no multiple of the page size),
// EEXIST (Addr is in use), ENOMEM, EPERM (sealed).
func (o *Object) Map(options MapOptions) (*Mapping, error) {
	return mapFile(o.file, o.name, options)
}

// MapFile maps a file, which may be closed afterwards. What is written to a shared
// mapping is in the file for everybody at once, and on the disk when the kernel
// gets to it or after Sync. Errors are those of Object.Map; ENODEV (the file can
// not be mapped).
func MapFile(f *os.File, options MapOptions) (*Mapping, error) {
	return mapFile(f, f.Name(), options)
}

func mapFile(f *os.File, name string, o MapOptions) (*Mapping, error) {
	page, err := pageSize(f)
	if err != nil {
		return nil, failed("mmap", name, err)
	}
	length, err := o.length(f, page)
	if err != nil {
		return nil, failed("mmap", name, err)
	}
	addr, err := mmapFile(f, length, o)
	return newMapping(name, addr, length, page, o.Prot, err)
}

// length returns how many bytes of f, whose pages have page bytes, are to be mapped.
func (o MapOptions) length(f *os.File, page int) (int, error) {
	if err := o.Prot.check(); err != nil {
		return 0, err
	}
	if o.Offset < 0 || o.Offset%int64(page) != 0 {
		return 0, refused("offset %d is no multiple of the page size of %d bytes", o.Offset, page)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	length := int64(o.Length)
	if length == 0 {
		length = info.Size() - o.Offset
	}
	switch {
	case info.Mode().IsRegular() && (length <= 0 || length > info.Size()-o.Offset):
		return 0, beyond(length, o.Offset, info.Size())
	case length <= 0 || length > math.MaxInt:
		return 0, refused("length %d", length)
	}
	return int(length), nil
}

// AnonymousOptions says how MapAnonymous maps memory.
type AnonymousOptions struct {
	Prot Prot
	// HugePages is the size in bytes of the huge pages to use (MAP_HUGETLB), a power
	// of two; DefaultHugePages for the system's default, 0 for ordinary pages. The
	// length must be a multiple of it.
	HugePages int64
	// NoReserve (MAP_NORESERVE) sets no swap space or huge pages aside.
	NoReserve bool
}

// MapAnonymous maps length bytes of zeros that have no name (MAP_SHARED with
// MAP_ANONYMOUS). A Go program does not fork, so nobody else can get at them: for
// memory that a child process shares use CreateMemfd. Errors: EINVAL, ENOMEM (also:
// not enough huge pages).
func MapAnonymous(length int, o AnonymousOptions) (*Mapping, error) {
	const name = "anonymous memory"
	err := o.Prot.check()
	if err == nil && length <= 0 {
		err = refused("length %d", length)
	}
	if err != nil {
		return nil, failed("mmap", name, err)
	}
	addr, page, err := mmapAnonymous(length, o)
	return newMapping(name, addr, length, page, o.Prot, err)
}

func newMapping(name string, addr uintptr, length, page int, prot Prot, err error) (*Mapping, error) {
	if err != nil {
		return nil, failed("mmap", name, err)
	}
	region := memory.New(addr, length, !prot.writable(), ErrUnmapped)
	return &Mapping{region: region, addr: addr, name: name, page: page, hold: new(hold)}, nil
}

// Unmap unmaps the memory (munmap(2)). Slices from Bytes and pointers from View must
// not be used any more: that would be a fault which ends the program. Methods that
// are called after it return ErrUnmapped, those of semaphores in the memory too.
// While a goroutine waits for one of these, or the memory is pinned, it is EBUSY.
//
// The memory is given back at once; of the addresses, a page for each that held a
// semaphore stays taken until the garbage collector has seen that the semaphore is not
// used any more.
func (m *Mapping) Unmap() error {
	err := m.region.Unmap(func(mem []byte) error {
		return failed("munmap", m.name, m.hold.release(m.whole(mem), m.page))
	})
	if errors.Is(err, memory.ErrPinned) {
		err = failed("munmap", m.name, fmt.Errorf("%w: %w", abi.EBUSY, err))
	}
	return err
}

// Pin keeps the memory mapped until release is called: Unmap is EBUSY meanwhile.
// Package shmring pins the memory of a ring that is in use. After Unmap it is
// ErrUnmapped.
func (m *Mapping) Pin() (release func(), err error) { return m.region.Pin() }

// Name returns the name of the object or the file that is mapped.
func (m *Mapping) Name() string { return m.name }

// Addr returns the address of the first byte.
func (m *Mapping) Addr() uintptr { return m.addr }

// ReadOnly tells whether writing is ErrReadOnly: no part of the memory may be written
// since it was mapped, or since Protect.
func (m *Mapping) ReadOnly() bool { return m.region.ReadOnly() }

// Len returns the size of the mapping in bytes, 0 after Unmap. It does not follow
// the size of the object.
func (m *Mapping) Len() int { return m.region.Len() }

// Bytes returns the memory, nil after Unmap. The slice does not keep it mapped:
// using it after Unmap, touching a part that was truncated away or that Protect
// forbids, ends the program. Other processes may change its contents at any time.
func (m *Mapping) Bytes() []byte { return m.region.Bytes() }

// ReadAt implements io.ReaderAt. It returns io.EOF with what there is when p
// reaches beyond the end.
func (m *Mapping) ReadAt(p []byte, off int64) (int, error) { return m.region.ReadAt(p, off) }

// WriteAt implements io.WriterAt. If p does not fit it writes nothing and returns
// ErrBounds. After ErrFault a part of p may have been written.
func (m *Mapping) WriteAt(p []byte, off int64) (int, error) { return m.region.WriteAt(p, off) }

// Prefault makes all pages present (MAP_POPULATE, but telling whether it worked),
// so that no later access waits for one or fails for want of memory. It returns
// ErrFault if /dev/shm or the pool of huge pages does not hold enough.
func (m *Mapping) Prefault() error { return m.region.Prefault() }

// Protect changes what length bytes from off on may be used for (mprotect(2)); off
// must be a multiple of the page size, and length 0 means up to the end; length is
// rounded up to whole pages. Writing what may not be written any more is
// ErrReadOnly if one call has forbidden it for the whole mapping; any other access that
// is not allowed is ErrFault, and through Bytes and View it ends the program. Errors:
// ErrBounds, EACCES (writing to an object that was opened ReadOnly), EINVAL, ENOMEM.
func (m *Mapping) Protect(off, length int, prot Prot) error {
	if err := prot.check(); err != nil {
		return failed("mprotect", m.name, err)
	}
	return m.region.Protect(func(mem []byte, readOnly bool) (bool, error) {
		part, err := slicePart(mem, off, length)
		if err == nil {
			part = m.whole(part)
			err = mprotect(part, prot)
		}
		all := len(part) == len(m.whole(mem))
		return !prot.writable() && (all || readOnly), failed("mprotect", m.name, err)
	})
}

// whole returns a part of the memory up to the end of its last page: that is mapped, and
// of huge pages the kernel protects and unmaps none but whole ones.
func (m *Mapping) whole(part []byte) []byte {
	return memory.Pages(part, m.page)
}

// SyncFlags says how Sync writes memory back.
type SyncFlags int

// Flags of Sync: one of the first two, and the third or not.
const (
	SyncAsync      SyncFlags = 1 << iota // MS_ASYNC: let it be written some time, which it is anyway
	SyncWait                             // MS_SYNC: return when it is written
	SyncInvalidate                       // MS_INVALIDATE: EBUSY if it is locked; Linux keeps all mappings of a file alike
)

// Sync writes length bytes from off on back to the file (msync(2)); off must be a
// multiple of the page size, and length 0 means up to the end. For an object in
// /dev/shm there is nothing to write. Errors: ErrBounds, EINVAL, EBUSY, EIO and
// ENOSPC (the disk).
func (m *Mapping) Sync(off, length int, flags SyncFlags) error {
	return m.part("msync", off, length, func(part []byte) error { return msync(part, flags) })
}

// Lock makes all pages present and keeps them in memory (mlock(2)) until Unlock or
// Unmap. Errors: ENOMEM (RLIMIT_MEMLOCK, or no memory), EPERM, EAGAIN.
func (m *Mapping) Lock() error { return m.part("mlock", 0, 0, mlock) }

// Unlock lets the pages be swapped out again (munlock(2)).
func (m *Mapping) Unlock() error { return m.part("munlock", 0, 0, munlock) }

// part calls f with a part of the memory.
func (m *Mapping) part(op string, off, length int, f func([]byte) error) error {
	return m.region.Do(func(mem []byte) error {
		part, err := slicePart(mem, off, length)
		if err == nil {
			err = f(part)
		}
		return failed(op, m.name, err)
	})
}

func slicePart(mem []byte, off, length int) ([]byte, error) {
	if length == 0 {
		length = len(mem) - off
	}
	if off < 0 || length <= 0 || length > len(mem)-off {
		return nil, beyond(int64(length), int64(off), int64(len(mem)))
	}
	return mem[off : off+length], nil
}

// View returns the T at offset off of the mapping. All of it has to lie within the
// mapping, its address has to be aligned for T, and T must hold no pointers:
// ErrBounds, ErrAlignment and ErrPointers say which is not so. The rules of Bytes
// hold for the result.
//
// For 64-bit atomic access use the types of sync/atomic, which are aligned on
// every architecture. The layout of a Go struct is that of the C struct with the
// same members, but on 32-bit architectures, where C aligns 64-bit members to
// eight bytes on arm and mips and Go to four.
func View[T any](m *Mapping, off int) (*T, error) { return memory.View[T](m.region, off) }

// ViewSlice returns the n elements of type T from offset off of the mapping on,
// under the rules of View.
func ViewSlice[T any](m *Mapping, off, n int) ([]T, error) {
	return memory.Slice[T](m.region, off, n)
}
