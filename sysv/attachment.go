package sysv

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// AttachOptions says how Segment.Attach maps a segment. nil stands for the zero value,
// which maps it for reading and writing where the kernel likes.
type AttachOptions struct {
	ReadOnly bool    // SHM_RDONLY
	Exec     bool    // SHM_EXEC: contents may be executed; needs execute permission
	Addr     uintptr // where to map, a multiple of the page size; 0 lets the kernel choose
	Round    bool    // SHM_RND: round Addr down instead of refusing it
}

func (o *AttachOptions) flags() (flags int) {
	if o.ReadOnly {
		flags |= abi.ShmRdonly
	}
	if o.Exec {
		flags |= abi.ShmExec
	}
	if o.Round {
		flags |= abi.ShmRnd
	}
	return flags
}

// An Attachment is a segment mapped into this process. It lasts until Detach or
// the end of the process; a child made by fork has it too, and loses it by exec.
// The garbage collector never ends it.
//
// ReadAt and WriteAt check bounds, access and life, and may be used by several
// goroutines; they do not synchronise with other processes. Bytes and View give
// the memory itself, which is faster and forgives nothing.
type Attachment struct {
	region  *memory.Region
	addr    uintptr
	segment Segment
}

var (
	_ io.ReaderAt = (*Attachment)(nil)
	_ io.WriterAt = (*Attachment)(nil)
)

// Attach maps the segment. It needs read permission, and write permission unless
// o is ReadOnly. Errors: fs.ErrPermission, EINVAL (no such segment, or an address
// that is unaligned or in use), EIDRM, ENOMEM (also: 2 GiB or more on a 32-bit
// architecture). See shmat(2).
func (s Segment) Attach(o *AttachOptions) (*Attachment, error) {
	if o == nil {
		o = new(AttachOptions)
	}
	addr, e := abi.Shmat(int(s), o.Addr, o.flags())
	if e != 0 {
		return nil, vagueError("shmat", Shm, int(s), e, statSegment)
	}
	// While it is attached the segment can't go, nor its identifier be reused: the
	// size that is asked for now is the size of what was mapped.
	ds, _, e := abi.Shmstat(int(s), abi.IPCStat)
	if e != 0 {
		abi.Shmdt(addr)
		return nil, idError("shmctl IPC_STAT", Shm, int(s), e)
	}
	if ds.Segsz > math.MaxInt { // 2 GiB and more fit into 32 bits, but not into a slice
		abi.Shmdt(addr)
		return nil, idError("shmat", Shm, int(s), abi.ENOMEM)
	}
	return &Attachment{memory.New(addr, int(ds.Segsz), o.ReadOnly, ErrDetached), addr, s}, nil
}

// Detach unmaps the segment (shmdt(2)). Slices from Bytes and pointers from View
// must not be used any more: that would be a fault which ends the program.
// Methods that are called after it return ErrDetached. While the memory is pinned it is
// EBUSY.
func (a *Attachment) Detach() error {
	err := a.region.Unmap(func([]byte) error {
		return idError("shmdt", Shm, int(a.segment), abi.Shmdt(a.addr))
	})
	if errors.Is(err, memory.ErrPinned) {
		err = &Error{Op: "shmdt", Kind: Shm, ID: int(a.segment), Err: fmt.Errorf("%w: %w", abi.EBUSY, err)}
	}
	return err
}

// Pin keeps the segment attached until release is called: Detach is EBUSY meanwhile.
// Package shmring pins the memory of a ring that is in use. After Detach it is
// ErrDetached.
func (a *Attachment) Pin() (release func(), err error) { return a.region.Pin() }

// Segment returns the segment that is attached.
func (a *Attachment) Segment() Segment { return a.segment }

// Addr returns the address of the first byte.
func (a *Attachment) Addr() uintptr { return a.addr }

// ReadOnly tells whether the segment is mapped for reading alone.
func (a *Attachment) ReadOnly() bool { return a.region.ReadOnly() }

// Len returns the size of the segment in bytes, 0 after Detach.
func (a *Attachment) Len() int { return a.region.Len() }

// Bytes returns the memory of the segment, nil after Detach. The slice does not
// keep the attachment alive: using it after Detach, or writing through it if the
// attachment is read-only, ends the program. Other processes may change its
// contents at any time.
func (a *Attachment) Bytes() []byte { return a.region.Bytes() }

// ReadAt implements io.ReaderAt. It returns io.EOF with what there is when p
// reaches beyond the end.
func (a *Attachment) ReadAt(p []byte, off int64) (int, error) { return a.region.ReadAt(p, off) }

// WriteAt implements io.WriterAt. If p does not fit it writes nothing and
// returns ErrBounds.
func (a *Attachment) WriteAt(p []byte, off int64) (int, error) { return a.region.WriteAt(p, off) }

// Prefault makes all pages present (MADV_POPULATE_WRITE, or _READ if the
// attachment is read-only), so that no later access waits for one. For a GiB of
// small pages that takes half a second or more.
func (a *Attachment) Prefault() error { return a.region.Prefault() }

// View returns the T at offset off of the segment. All of it has to lie within
// the segment, its address has to be aligned for T, and T must hold no pointers:
// ErrBounds, ErrAlignment and ErrPointers say which is not so. The rules of Bytes
// hold for the result.
//
// For 64-bit atomic access use the types of sync/atomic, which are aligned on
// every architecture. The layout of a Go struct is that of the C struct with the
// same members, but on 32-bit architectures, where C aligns 64-bit members to
// eight bytes on arm and mips and Go to four.
func View[T any](a *Attachment, off int) (*T, error) { return memory.View[T](a.region, off) }

// ViewSlice returns the n elements of type T from offset off of the segment on,
// under the rules of View.
func ViewSlice[T any](a *Attachment, off, n int) ([]T, error) {
	return memory.Slice[T](a.region, off, n)
}
