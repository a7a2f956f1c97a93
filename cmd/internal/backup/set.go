package backup

import (
	"errors"
	"slices"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

// A heldSet is identified by its values and the kernel's record of its last use.
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

// check compares before it shuts the set, so that it does not touch a set that was
// used, and again afterwards, since another process may have been faster.
func (h *heldSet) check() error {
	now, err := h.Stat()
	if err := unchanged(h.is, now, err); err != nil {
		return err
	}
	owner := h.is.Ownership()
	owner.Mode = shutMode
	if err := h.SetOwnership(owner); err != nil {
		return err
	}
	h.isShut = true
	time.Sleep(grace) // semop checks the permission before it locks the set
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
	return h.SetOwnership(h.is.Ownership())
}

func (h *heldSet) removed(func() error) error { return nil }
