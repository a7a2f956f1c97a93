package shmring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/sysvipc/gipc/internal/lifeline"
)

// A line holds the locks of the roles that this process has.
type line struct{ lifeline.Line }

func (l line) hold(i int) error {
	err := l.Hold(int64(i))
	switch {
	case errors.Is(err, lifeline.ErrExcluded): // see Remove
		return fmt.Errorf("shmring: %w: it is being removed", ErrBusy)
	case err != nil:
		return fmt.Errorf("shmring: %w", err)
	}
	return nil
}

func (l line) release(i int) { l.Release(int64(i)) }

func (l line) held(i int) bool { return l.Held(int64(i)) }

// exclude locks all bytes of the ring, so that no other line can hold one. It returns false
// if a line holds one.
func (l line) exclude() (bool, error) { return l.Exclude(removing + 1) }

// inUse reports whether another line holds a role or presence.
func (l line) inUse() bool {
	for i := range presence + 1 {
		if l.held(i) {
			return true
		}
	}
	return false
}

// admit undoes exclude, except for the presence byte.
func (l line) admit() error {
	err := l.hold(presence)
	for i := range presence {
		l.release(i)
	}
	l.release(removing)
	return err
}

// Values of header.death: which file has the locks.
const (
	byFile      = 1
	byNamespace = 2
)

// The bytes after the bytes of the roles, for rings with a name or a key.
const (
	// presence is held by all processes that have the ring open.
	presence = consumerRole + 1
	// removing is held by a process that removes the ring.
	removing = presence + 1
)

// lockSpan is how many bytes the locks of a ring take.
const lockSpan = 128

// lockBase returns where the locks of the ring with this number begin: rings that share a
// file have different numbers.
func lockBase(id ringID) uint64 { return id[0] % (1 << 55) * lockSpan }

// A ringID is the random number of a ring.
type ringID [2]uint64

func (id ringID) bytes() (b [16]byte) {
	binary.NativeEndian.PutUint64(b[:], id[0])
	binary.NativeEndian.PutUint64(b[8:], id[1])
	return b
}

func (h *preamble) ringID() ringID { return ringID{h.id[0].Load(), h.id[1].Load()} }

// lifeline opens a line that holds no role yet.
func (b *base) lifeline() (line, error) {
	fd, err := lifeline.Reopen(b.anchor)
	switch {
	case errors.Is(err, os.ErrClosed):
		return line{}, fmt.Errorf("shmring: %w", ErrClosed)
	case err != nil:
		return line{}, fmt.Errorf("shmring: %w", err)
	}
	return b.line(fd), nil
}

func (b *base) line(fd int) line { return line{lifeline.Line{FD: fd, Base: b.locks}} }

// openFile opens the file that the ring is mapped from. The ring begins at this offset in
// the file.
func (h *preamble) openFile() (f *os.File, offset int64, err error) {
	mark := h.ringID().bytes()
	f, offset, err = lifeline.OpenFile(h.address()+uint64(idOffset), mark[:])
	return f, offset - idOffset, err
}

// openAnchor opens the file with the ring's locks.
func (h *preamble) openAnchor() (*os.File, error) {
	if h.death.Load() == byFile {
		f, _, err := h.openFile()
		if err != nil {
			return nil, fmt.Errorf("shmring: %w: its file can't be opened: %w", ErrForeign, err)
		}
		return f, nil
	}
	f, err := lifeline.OpenNamespaceOf(h.namespace.Load())
	if err != nil {
		return nil, fmt.Errorf("shmring: %w: %w", ErrForeign, err)
	}
	return f, nil
}
