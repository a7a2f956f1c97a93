package inventory

import (
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// MayMiss reports whether there may be users of the object that were not found: threads
// that wait on a queue, processes that have a POSIX object mapped or open. The kernel
// counts neither, so all processes must have been looked at. With Options.HiddenIdle
// those that were not do not count.
func (inv *Inventory) MayMiss(o *Object) bool { return !inv.HiddenIdle && !inv.SawAll(o) }

// SawAll reports whether all processes were looked at that can use the object unknown
// to the kernel.
func (inv *Inventory) SawAll(o *Object) bool {
	switch {
	case o.Kind == ref.Msg:
		return !inv.Outside && !inv.Hidden.Any()
	case o.Kind.POSIX():
		return !inv.Outside && !inv.Hidden.Whole()
	default:
		return true
	}
}

// Obscured reports whether what is not known of the object may be because not all
// processes could be looked at.
func (inv *Inventory) Obscured(o *Object) bool {
	return inv.MayMiss(o) || !inv.HiddenIdle && o.Use != nil &&
		slices.ContainsFunc(o.Use.Reasons, func(r Reason) bool { return r.Code == ProcessHidden })
}

// HoldsMessages reports whether the object is a queue that is known to hold messages.
func (o *Object) HoldsMessages() bool {
	switch o.Kind {
	case ref.Msg:
		return o.Queue.QNum > 0
	case ref.PMsg:
		return o.PMsg.Known && o.PMsg.CurMsgs > 0
	default:
		return false
	}
}
