package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/sysv"
)

// A heldSegment stays attached until after its removal. That preserves its contents,
// and lpid then shows every other attach and detach, however short. Timestamps, in
// whole seconds, could not.
type heldSegment struct {
	sysv.Segment
	mem  *sysv.Attachment
	is   sysv.SegmentInfo // after our own attach
	copy func(going func() error) error
}

func (s *Store) saveSegment(ctx context.Context, segment sysv.Segment) (*Entry, hold, error) {
	before, err := segment.Stat()
	if err != nil {
		return nil, nil, err
	}
	if before.NAttch > 0 {
		return nil, nil, used("a process is attached to it, and what it writes during the save would be lost")
	}
	switch destroys, err := destroysDetached(); {
	case err != nil:
		return nil, nil, err
	case destroys:
		return nil, nil, errors.New("with kernel.shm_rmid_forced=1 the kernel destroys a segment at its last detach, and saving has to attach it; set that to 0 for the time of the backup")
	}
	h := &heldSegment{Segment: segment}
	if h.mem, err = segment.Attach(&sysv.AttachOptions{ReadOnly: true}); err != nil {
		return nil, nil, err
	}
	if h.is, err = segment.Stat(); err == nil {
		err = h.alone(&before)
	}
	var e *Entry
	if err == nil {
		e = newEntry(ofSegment(&h.is))
		e.Segment = &Segment{Size: h.is.Size, Locked: h.is.Locked}
		h.copy = func(going func() error) error { return s.copySegment(ctx, e, h, going) }
		if err = h.copy(h.check); err == nil {
			err = h.check()
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.discard(e), h.mem.Detach())
	}
	return e, h, nil
}

// alone returns ErrUsed if another process has attached the segment between before and
// our own attach.
func (h *heldSegment) alone(before *sysv.SegmentInfo) error {
	if h.is.NAttch != 1 || h.is.LPID != os.Getpid() || !h.is.DTime.Equal(before.DTime) || h.is.Perm != before.Perm {
		return ErrUsed
	}
	return nil
}

func (s *Store) copySegment(ctx context.Context, e *Entry, h *heldSegment, going func() error) error {
	m, done, err := attachedMemory(e.ID, h.mem, e.Segment.Size)
	if err != nil {
		return err
	}
	defer done()
	return s.writeData(ctx, e, m, going)
}

func (h *heldSegment) exclusive() bool { return true }

func (h *heldSegment) check() error {
	now, err := h.Stat()
	return unchanged(h.is, now, err)
}

func (h *heldSegment) kept() error { return h.mem.Detach() }

// removed copies the segment again if it was attached since check. It exists until we
// detach it, but it has no key any more, and with its new mode only root can attach it
// by identifier.
func (h *heldSegment) removed(save func() error) error {
	owner := h.is.Ownership()
	owner.Mode = shutMode
	_ = h.SetOwnership(owner) // if that fails, the loop below still sees every use
	err := retry(func() (bool, error) {
		now, err := h.Stat()
		if err != nil || h.sameUse(&now) {
			return err == nil, err
		}
		if now.NAttch > 1 {
			return false, nil
		}
		h.is = now
		nobody := func() error { return nil }
		return false, errors.Join(h.copy(nobody), save())
	})
	return errors.Join(err, h.mem.Detach())
}

func (h *heldSegment) sameUse(now *sysv.SegmentInfo) bool {
	return now.NAttch == 1 && now.LPID == h.is.LPID && now.ATime.Equal(h.is.ATime) && now.DTime.Equal(h.is.DTime)
}

// shutMode leaves users other than root only read access.
const shutMode fs.FileMode = 0o400
