package sysv

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// AttachOptions holds the options of Segment.Attach. nil means the zero value: the segment
// is mapped for reading and writing, at an address that the kernel chooses.
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

// An Attachment is a segment mapped into this process. It lasts until Detach or the end of
// the process. A child made by fork inherits it and loses it at exec. The garbage
// collector never ends it.
//
// ReadAt and WriteAt check bounds, access and whether the segment is still attached.
// Several goroutines may use them. They do not synchronise with other processes. Bytes and
// View return the memory itself: faster, but unchecked.
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
	// While the segment is attached, it cannot go away and its identifier cannot be
	// reused. So this is the size of the mapped segment.
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

// Detach unmaps the segment (shmdt(2)). Do not use slices from Bytes or pointers from View
// afterwards: that is a fault, which ends the program. Later method calls return
// ErrDetached. If the memory is pinned, Detach fails with EBUSY.
func (a *Attachment) Detach() error {
	err := a.region.Unmap(func([]byte) error {
		return idError("shmdt", Shm, int(a.segment), abi.Shmdt(a.addr))
	})
	if errors.Is(err, memory.ErrPinned) {
		err = &Error{Op: "shmdt", Kind: Shm, ID: int(a.segment), Err: fmt.Errorf("%w: %w", abi.EBUSY, err)}
	}
	return err
}

// Pin keeps the segment attached until release is called; until then, Detach fails with
// EBUSY. Package shmring pins the memory of a ring in use. After Detach, Pin returns
// ErrDetached.
func (a *Attachment) Pin() (release func(), err error) { return a.region.Pin() }

// Segment returns the segment that is attached.
func (a *Attachment) Segment() Segment { return a.segment }

// Addr returns the address of the first byte.
func (a *Attachment) Addr() uintptr { return a.addr }

// ReadOnly reports whether the segment is mapped read-only.
func (a *Attachment) ReadOnly() bool { return a.region.ReadOnly() }

// Len returns the size of the segment in bytes, or 0 after Detach.
func (a *Attachment) Len() int { return a.region.Len() }

// Bytes returns the memory of the segment, or nil after Detach. The slice does not keep
// the segment attached: using it after Detach, or writing to it if the attachment is
// read-only, ends the program. Other processes may change its contents at any time.
func (a *Attachment) Bytes() []byte { return a.region.Bytes() }

// ReadAt implements io.ReaderAt. If p extends beyond the end, ReadAt returns the bytes up
// to the end and io.EOF.
func (a *Attachment) ReadAt(p []byte, off int64) (int, error) { return a.region.ReadAt(p, off) }

// WriteAt implements io.WriterAt. If p does not fit, it writes nothing and returns
// ErrBounds.
func (a *Attachment) WriteAt(p []byte, off int64) (int, error) { return a.region.WriteAt(p, off) }

// Prefault makes all pages present, so that no later access waits for one
// (MADV_POPULATE_WRITE, or MADV_POPULATE_READ if the attachment is read-only). For 1 GiB
// of small pages this takes half a second or more.
func (a *Attachment) Prefault() error { return a.region.Prefault() }

// View returns the T at offset off of the segment, under the rules of Bytes. Errors:
// ErrBounds (it does not lie within the segment), ErrAlignment (its address is not aligned
// for T), ErrPointers (T holds Go pointers).
//
// For 64-bit atomic access, use the types of sync/atomic, which are aligned on every
// architecture. A Go struct has the layout of the C struct with the same members, except
// for 64-bit members on 32-bit arm and mips, which C aligns to eight bytes and Go to four.
func View[T any](a *Attachment, off int) (*T, error) { return memory.View[T](a.region, off) }

// ViewSlice returns the n elements of type T that begin at offset off of the segment,
// under the rules of View.
func ViewSlice[T any](a *Attachment, off, n int) ([]T, error) {
	return memory.Slice[T](a.region, off, n)
}
