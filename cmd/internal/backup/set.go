package backup

import (
	"errors"
	"slices"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

// A heldSet is known by its values and what the kernel tells of its last use.
type heldSet struct {
	sysv.Set
	is     sysv.SetInfo
	values []uint16
	isShut bool
}

func saveSet(set sysv.Set) (*Entry, hold, error) {
	h := &heldSet{Set: set}
	var err error
	if h.is, err = set.Stat(); err != nil {
		return nil, nil, err
	}
	if h.values, err = set.Values(); err != nil {
		return nil, nil, err
	}
	e := newEntry(ofSet(&h.is))
	e.Set = &Set{Values: h.values, Ready: !h.is.OTime.IsZero()}
	return e, h, nil
}

func (h *heldSet) exclusive() bool { return false }

// check compares before it keeps others out, so that a set which was used is not
// touched, and behind it, since somebody may have been quicker.
func (h *heldSet) check() error {
	now, err := h.Stat()
	if err := unchanged(h.is, now, err); err != nil {
		return err
	}
	owner := h.is.Ownership()
	owner.Mode = shutMode
	if err := h.Set.Set(owner); err != nil {
		return err
	}
	h.isShut = true
	time.Sleep(grace) // the permission is looked at before the set is locked
	now, err = h.Stat()
	if err != nil {
		return unchanged(h.is, now, err)
	}
	if values, err := h.Values(); err != nil || !slices.Equal(values, h.values) || !now.OTime.Equal(h.is.OTime) {
		return errors.Join(ErrUsed, err)
	}
	return nil
}

func (h *heldSet) kept() error {
	if !h.isShut {
		return nil
	}
	return h.Set.Set(h.is.Ownership())
}

func (h *heldSet) removed(func() error) error { return nil }
