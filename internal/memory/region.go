package memory

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"unsafe"
)

// Errors of an access to a Region. The error of an access after Unmap is chosen by the
// package that owns the Region: see New.
var (
	ErrReadOnly = errors.New("memory is mapped read-only")
	ErrBounds   = errors.New("access beyond the end of the memory")
	ErrPinned   = errors.New("memory is in use")
	ErrFault    = errors.New("memory fault: the page is not available, because the object was truncated, or memory or huge pages ran out")
)

// A Region is a range of mapped memory with bounds, an access mode and an end of life.
// Several goroutines may call its methods at once; Unmap waits for calls that are under
// way.
type Region struct {
	mu       sync.RWMutex
	mem      []byte // nil once unmapped
	readOnly bool
	pins     int
	gone     error // error of an access after Unmap
}

// New returns the Region of the size bytes at addr, which Go must not have allocated.
// Access after Unmap returns gone.
func New(addr uintptr, size int, readOnly bool, gone error) *Region {
	// Converted through its address, since vet rightly distrusts unsafe.Pointer(addr).
	p := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	return &Region{mem: unsafe.Slice((*byte)(p), size), readOnly: readOnly, gone: gone}
}

// ReadOnly reports whether writing would fault.
func (r *Region) ReadOnly() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.readOnly
}

// Protect calls change, which changes the access that the kernel allows, while no other
// method uses the memory. change is told whether the region is read-only, and returns
// whether it is so from now on. If change fails, the region stays as it was.
func (r *Region) Protect(change func(mem []byte, readOnly bool) (bool, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem == nil {
		return r.gone
	}
	readOnly, err := change(r.mem, r.readOnly)
	if err != nil {
		return err
	}
	r.readOnly = readOnly
	return nil
}

// Bytes returns the memory, or nil if it is unmapped.
func (r *Region) Bytes() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mem
}

// Len returns the size in bytes, or 0 if the memory is unmapped.
func (r *Region) Len() int { return len(r.Bytes()) }

// ReadAt implements io.ReaderAt.
func (r *Region) ReadAt(p []byte, off int64) (n int, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.mem == nil:
		return 0, r.gone
	case off < 0:
		return 0, fmt.Errorf("%w: offset %d", ErrBounds, off)
	case off >= int64(len(r.mem)):
		return 0, io.EOF
	}
	if n, err = guardedCopy(p, r.mem[off:]); err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// WriteAt implements io.WriterAt. A write that does not fit writes nothing.
func (r *Region) WriteAt(p []byte, off int64) (n int, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.mem == nil:
		return 0, r.gone
	case r.readOnly:
		return 0, ErrReadOnly
	case off < 0 || off > int64(len(r.mem)) || len(p) > len(r.mem)-int(off):
		return 0, fmt.Errorf("%w: %d bytes at offset %d of %d", ErrBounds, len(p), off, len(r.mem))
	}
	return guardedCopy(r.mem[off:], p)
}

// Do calls f with the memory, which stays mapped until f returns.
func (r *Region) Do(f func(mem []byte) error) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.mem == nil {
		return r.gone
	}
	return f(r.mem)
}

// Pin keeps the memory mapped until release is called, for use other than through a
// method. Until then, Unmap returns ErrPinned.
func (r *Region) Pin() (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem == nil {
		return nil, r.gone
	}
	r.pins++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pins--
	}), nil
}

// Unmap waits until no other method uses the memory, and calls release with it. If release
// succeeds, the memory counts as gone. Errors: ErrPinned; those of release.
func (r *Region) Unmap(release func(mem []byte) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem == nil {
		return r.gone
	}
	if r.pins > 0 {
		return ErrPinned
	}
	if err := release(r.mem); err != nil {
		return err
	}
	r.mem = nil
	return nil
}

// guardedCopy is copy, but returns ErrFault where Go would end the program: at a page that
// the kernel cannot provide. Either the pool of huge pages is empty, the object was
// truncated, or /dev/shm is full.
func guardedCopy(dst, src []byte) (n int, err error) {
	defer guard(debug.SetPanicOnFault(true), &err)
	return copy(dst, src), nil
}

// guard restores the previous setting of SetPanicOnFault and converts the panic of a
// memory fault to an error.
func guard(previous bool, err *error) {
	debug.SetPanicOnFault(previous)
	switch r := recover().(type) {
	case nil:
	case interface{ Addr() uintptr }:
		*err = fmt.Errorf("%w (address %#x)", ErrFault, r.Addr())
	default:
		panic(r)
	}
}

// Guard calls f. If f faults, Guard returns ErrFault.
func Guard(f func() error) (err error) {
	defer guard(debug.SetPanicOnFault(true), &err)
	return f()
}

// Pages extends mem, which begins at a page, to the end of its last page.
func Pages(mem []byte, page int) []byte {
	return unsafe.Slice(unsafe.SliceData(mem), (len(mem)+page-1)/page*page)
}
