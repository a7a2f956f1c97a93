package shmring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// A lifeline is how other processes know that this one lives: an open file description
// of its own, with a lock on one byte for each role that it has. The kernel drops the
// locks after the last thread of the process has let go of its memory, at its end or at
// execve(2), and shows them to processes of all pid and user namespaces. The locks are
// shared ones, which exclude nobody: who has a role is decided in the ring.
//
// The file is the one that the memory is mapped from. For memory without one (a System V
// segment, anonymous memory) it is that of the IPC namespace.
type lifeline struct {
	fd   int
	base int64 // the byte of role 0
}

// Values of header.death: which file has the locks.
const (
	byFile      = 1
	byNamespace = 2
)

// presence is the byte after those of the roles. All who have a ring with a name open
// hold it.
const presence = consumerRole + 1

// lockSpan is how many bytes the locks of a ring take.
const lockSpan = 128

// lockBase returns where the locks of the ring with this number begin: rings that share
// a file have other numbers.
func lockBase(id ringID) uint64 { return id[0] % (1 << 55) * lockSpan }

// A ringID is the random number of a ring.
type ringID [2]uint64

func (id ringID) bytes() (b [16]byte) {
	binary.NativeEndian.PutUint64(b[:], id[0])
	binary.NativeEndian.PutUint64(b[8:], id[1])
	return b
}

func (h *header) ringID() ringID { return ringID{h.id[0].Load(), h.id[1].Load()} }

// lifeline opens a lifeline that holds no role yet.
func (r *Ring) lifeline() (lifeline, error) {
	fd, err := reopen(r.anchor)
	switch {
	case errors.Is(err, os.ErrClosed):
		return lifeline{}, fmt.Errorf("shmring: %w", ErrClosed)
	case err != nil:
		return lifeline{}, fmt.Errorf("shmring: %w", err)
	}
	return lifeline{fd, r.locks}, nil
}

// openAnchor opens the file with the ring's locks.
func (h *header) openAnchor() (*os.File, error) {
	if h.death.Load() == byFile {
		f, _, err := openFile(h)
		if err != nil {
			return nil, fmt.Errorf("shmring: %w: its file can't be opened: %w", ErrForeign, err)
		}
		return f, nil
	}
	f, namespace, err := openNamespace()
	if err != nil {
		return nil, fmt.Errorf("shmring: %w: %w", ErrForeign, err)
	}
	if made := h.namespace.Load(); namespace != made {
		f.Close()
		return nil, fmt.Errorf("shmring: %w: made in IPC namespace %d, this is %d", ErrForeign, made, namespace)
	}
	return f, nil
}
