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

// Prot is the access that a mapping allows. The zero value means ProtRead|ProtWrite.
type Prot int

// The kinds of access, which can be combined.
const (
	ProtRead  Prot = 1 << iota // PROT_READ
	ProtWrite                  // PROT_WRITE; on most architectures it implies PROT_READ
	ProtExec                   // PROT_EXEC
	ProtNone                   // PROT_NONE: no access; cannot be combined
)

// writable reports whether p allows writing.
func (p Prot) writable() bool { return p == 0 || p&ProtWrite != 0 }

func (p Prot) check() error {
	if p&^(ProtRead|ProtWrite|ProtExec|ProtNone) != 0 || p&ProtNone != 0 && p != ProtNone {
		return refused("protection %#x", int(p))
	}
	return nil
}

// MapOptions holds the options of a mapping. The zero value maps all of an object or file
// for reading and writing, shared with everyone who maps it.
type MapOptions struct {
	Offset int64   // where the mapping begins, a multiple of the page size
	Length int     // bytes; 0 means up to the end
	Prot   Prot    // access to the memory
	Addr   uintptr // where to map (MAP_FIXED_NOREPLACE): EEXIST if something is there; 0 lets the kernel choose
	// Private (MAP_PRIVATE) gives the process its own copy of each page that it writes.
	// Other processes never see the change.
	Private bool
	// NoReserve (MAP_NORESERVE) sets no swap space or huge pages aside.
	NoReserve bool
}

// A Mapping is memory mapped into this process: an object, a file, or anonymous memory. It
// lasts until Unmap or the end of the process, even if the object is closed and unlinked.
// The garbage collector never ends it.
//
// ReadAt and WriteAt check bounds, access and whether the memory is still mapped, and
// return ErrFault for a truncated part. Several goroutines may use them. They do not
// synchronise with other processes. Bytes and View return the memory itself: faster, but
// unchecked.
type Mapping struct {
	region *memory.Region
	addr   uintptr
	name   string
	page   int // size of one of its pages, which may be huge
	hold   *hold
}

var (
	_ io.ReaderAt = (*Mapping)(nil)
	_ io.WriterAt = (*Mapping)(nil)
)

// Map maps the object (mmap(2)). The mapped range must lie within the object, so an object
// of size 0 cannot be mapped. Errors: ErrBounds, EACCES (opened ReadOnly, but shared and
// writable), EINVAL (the offset is not a multiple of the page size), EEXIST (Addr is in
// use), ENOMEM, EPERM (sealed).
func (o *Object) Map(options *MapOptions) (*Mapping, error) {
	return mapFile(o.file, o.name, options)
}

// MapFile maps a file, which may be closed afterwards. Other processes see a write to a
// shared mapping at once; the kernel writes it to the disk later, or at Sync. Errors:
// those of Object.Map; ENODEV (the file cannot be mapped).
func MapFile(f *os.File, o *MapOptions) (*Mapping, error) {
	return mapFile(f, f.Name(), o)
}

func mapFile(f *os.File, name string, o *MapOptions) (*Mapping, error) {
	if o == nil {
		o = new(MapOptions)
	}
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

// length returns the number of bytes of f to map. page is the page size of f.
func (o *MapOptions) length(f *os.File, page int) (int, error) {
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

// AnonymousOptions holds the options of MapAnonymous.
type AnonymousOptions struct {
	Prot Prot
	// HugePages is the size in bytes of the huge pages to use (MAP_HUGETLB): a power of
	// two, or DefaultHugePages, or 0 for ordinary pages. The length must be a multiple of
	// it.
	HugePages int64
	// NoReserve (MAP_NORESERVE) sets no swap space or huge pages aside.
	NoReserve bool
}

// MapAnonymous maps length bytes of zeros that have no name (MAP_SHARED with
// MAP_ANONYMOUS). A Go program does not fork, so no other process can get at them; to
// share memory with a child process, use CreateMemfd. Errors: EINVAL, ENOMEM (also: not
// enough huge pages).
func MapAnonymous(length int, o *AnonymousOptions) (*Mapping, error) {
	if o == nil {
		o = new(AnonymousOptions)
	}
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

// Unmap unmaps the memory (munmap(2)). Do not use slices from Bytes or pointers from View
// afterwards: that is a fault, which ends the program. Later calls of methods return
// ErrUnmapped, including those of semaphores in the memory. While a goroutine waits for
// such a semaphore, or the memory is pinned, Unmap fails with EBUSY.
//
// The memory is freed at once. For each page that held a semaphore, the address stays
// taken until the garbage collector finds that the semaphore is no longer used.
func (m *Mapping) Unmap() error {
	err := m.region.Unmap(func(mem []byte) error {
		return failed("munmap", m.name, m.hold.release(m.whole(mem), m.page))
	})
	if errors.Is(err, memory.ErrPinned) {
		err = failed("munmap", m.name, fmt.Errorf("%w: %w", abi.EBUSY, err))
	}
	return err
}

// Pin keeps the memory mapped until release is called; until then, Unmap fails with EBUSY.
// Package shmring pins the memory of a ring in use. After Unmap, Pin returns ErrUnmapped.
func (m *Mapping) Pin() (release func(), err error) { return m.region.Pin() }

// Name returns the name of the mapped object or file.
func (m *Mapping) Name() string { return m.name }

// Addr returns the address of the first byte.
func (m *Mapping) Addr() uintptr { return m.addr }

// ReadOnly reports whether writing returns ErrReadOnly: no part of the memory has been
// writable since it was mapped, or since Protect.
func (m *Mapping) ReadOnly() bool { return m.region.ReadOnly() }

// Len returns the size of the mapping in bytes, or 0 after Unmap. It does not change with
// the size of the object.
func (m *Mapping) Len() int { return m.region.Len() }

// Bytes returns the memory, or nil after Unmap. The slice does not keep it mapped. Using
// it after Unmap, or touching a part that was truncated or that Protect forbids, ends the
// program. Other processes may change its contents at any time.
func (m *Mapping) Bytes() []byte { return m.region.Bytes() }

// ReadAt implements io.ReaderAt. If p extends beyond the end, ReadAt returns the bytes up
// to the end and io.EOF.
func (m *Mapping) ReadAt(p []byte, off int64) (int, error) { return m.region.ReadAt(p, off) }

// WriteAt implements io.WriterAt. If p does not fit, it writes nothing and returns
// ErrBounds. On ErrFault, a part of p may have been written.
func (m *Mapping) WriteAt(p []byte, off int64) (int, error) { return m.region.WriteAt(p, off) }

// Prefault makes all pages present, so that no later access waits for one or fails because
// there is no memory. Unlike MAP_POPULATE, it reports failure: ErrFault if /dev/shm or the
// pool of huge pages does not have enough.
func (m *Mapping) Prefault() error { return m.region.Prefault() }

// Protect changes the allowed access to length bytes at offset off (mprotect(2)). off must
// be a multiple of the page size. A length of 0 means up to the end; length is rounded up
// to whole pages. After one call has forbidden writing to the whole mapping, a write
// returns ErrReadOnly. Any other forbidden access returns ErrFault, or ends the program if
// made through Bytes or View. Errors: ErrBounds, EACCES (write access to an object that
// was opened ReadOnly), EINVAL, ENOMEM.
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

// whole extends a part of the memory to the end of its last page. All of that page is
// mapped, and the kernel protects and unmaps only whole huge pages.
func (m *Mapping) whole(part []byte) []byte {
	return memory.Pages(part, m.page)
}

// SyncFlags holds the flags of Sync.
type SyncFlags int

// The flags of Sync. Use one of the first two, with or without the third.
const (
	SyncAsync      SyncFlags = 1 << iota // MS_ASYNC: schedule the write, which happens anyway
	SyncWait                             // MS_SYNC: return when the memory is written
	SyncInvalidate                       // MS_INVALIDATE: EBUSY if the memory is locked; no other effect, as Linux keeps all mappings of a file identical
)

// Sync writes length bytes at offset off back to the file (msync(2)). off must be a
// multiple of the page size, and a length of 0 means up to the end. For an object in
// /dev/shm there is nothing to write. Errors: ErrBounds, EINVAL, EBUSY; EIO and ENOSPC of
// the disk.
func (m *Mapping) Sync(off, length int, flags SyncFlags) error {
	return m.part("msync", off, length, func(part []byte) error { return msync(part, flags) })
}

// Lock makes all pages present and keeps them in memory (mlock(2)) until Unlock or
// Unmap. Errors: ENOMEM (RLIMIT_MEMLOCK, or no memory), EPERM, EAGAIN.
func (m *Mapping) Lock() error { return m.part("mlock", 0, 0, mlock) }

// Unlock allows the pages to be swapped out again (munlock(2)).
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

// View returns the T at offset off of the mapping, under the rules of Bytes. Errors:
// ErrBounds (it does not lie within the mapping), ErrAlignment (its address is not aligned
// for T), ErrPointers (T holds Go pointers).
//
// For 64-bit atomic access, use the types of sync/atomic, which are aligned on every
// architecture. A Go struct has the layout of the C struct with the same members, except
// for 64-bit members on 32-bit arm and mips, which C aligns to eight bytes and Go to four.
func View[T any](m *Mapping, off int) (*T, error) { return memory.View[T](m.region, off) }

// ViewSlice returns the n elements of type T that begin at offset off of the mapping,
// under the rules of View.
func ViewSlice[T any](m *Mapping, off, n int) ([]T, error) {
	return memory.Slice[T](m.region, off, n)
}
