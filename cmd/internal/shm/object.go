// Package shm treats System V segments and POSIX shared-memory objects alike: a Ref
// names an Object, and an Object in the memory of this process is a Mapping.
//
// Errors are sentences about the object, except those of package sysv, which package
// explain turns into sentences when they are reported.
package shm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/sysv"
)

// An Object is a Segment or a POSIX object. String returns what messages call it.
type Object interface {
	fmt.Stringer
	// Ref returns a REF that names the object.
	Ref() string
	// Attach maps the object. The caller must call Detach.
	Attach(AttachOptions) (Mapping, error)
	State() (State, error)
	// Set changes owner, group and permission bits to what change makes of them.
	Set(change func(*sysv.Ownership)) error
	// Remove removes the object. Processes that have it attached keep the memory.
	Remove() error
}

// A State holds the attributes that decide whether an object may be used.
type State struct {
	Mode   fs.FileMode // permission bits
	Owners []uint32    // all users who may change the mode; for a segment also its creator
}

// A Mapping is an object in the memory of this process.
type Mapping interface {
	io.ReaderAt
	io.WriterAt
	// Bytes returns the memory itself. It must not be used after Detach.
	Bytes() []byte
	Len() int
	Addr() uintptr
	ReadOnly() bool
	// Prefault makes all pages present.
	Prefault() error
	Detach() error
}

// CreateOptions say what object to make.
type CreateOptions struct {
	Size      int64       // in bytes
	Mode      fs.FileMode // permission bits, whatever the umask
	Exclusive bool        // fail with fs.ErrExist if there is an object
	HugePages int64       // as in sysv.SegmentOptions; segments only
	NoReserve bool        // set no swap space aside; do not ask whether /dev/shm has room
	Populate  bool        // make all pages present
	Lock      bool        // keep the pages out of swap space; segments only
}

// AttachOptions say how to attach an object.
type AttachOptions struct {
	ReadOnly bool
	Addr     uintptr // 0 lets the kernel choose
	Populate bool    // make all pages present
}

// populate makes all pages of a new mapping present if the options ask for it. If that
// fails it detaches the mapping.
func populate(mem Mapping, object Object, o AttachOptions) (Mapping, error) {
	if !o.Populate {
		return mem, nil
	}
	if err := mem.Prefault(); err != nil {
		return nil, errors.Join(fmt.Errorf("%v cannot be populated: %w", object, err), mem.Detach())
	}
	return mem, nil
}

func errAddress(object Object, addr uintptr) error {
	return fmt.Errorf("%v cannot be attached at %#x: an address has to be a multiple of the page size (%d), and free", object, addr, os.Getpagesize())
}
