package inventory

import (
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// MayMiss reports whether the object may have users that were not found: threads that wait
// on a queue, or processes that have a POSIX object mapped or open. The kernel counts
// neither, so all processes must have been inspected. With Options.HiddenIdle, processes
// that were not inspected do not count.
func (inv *Inventory) MayMiss(o *Object) bool { return !inv.HiddenIdle && !inv.SawAll(o) }

// SawAll reports whether all processes that can use the object without being counted by
// the kernel were inspected.
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

// Obscured reports whether facts about the object may be missing because not all processes
// could be inspected.
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
