//go:build linux

package main

import (
	"fmt"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// selectTargets returns the objects to remove, and reports which other matching objects
// are skipped.
func (r *rmRun) selectTargets() ([]removal.Target, error) {
	// The semaphores are part of a set's state at selection.
	want := r.selected.Want() | inventory.WantSemaphores
	inv, err := collectSelected(r.Context, r.selected, want)
	if err != nil {
		return nil, err
	}
	if !r.selected.AsksForPOSIX() {
		inv.Unlisted = nil
	}
	r.incomplete = reportUnselected(r.Context, inv, r.selected)
	choice := r.selected.Choose(inv, r.names)
	r.incomplete = reportFailed(r.Context, choice) || r.incomplete
	mine, foreign := removal.Select(inv, want, choice.Selected)
	targets, files := r.askedFor(mine)
	if n := len(files); n > 0 {
		r.say("%s too; add --kind sysv,posix to remove %s", matching(n, "POSIX object"), them(n))
	}
	if foreign, _ = r.askedFor(foreign); len(foreign) == 1 {
		r.say("1 matching object belongs to another user; only its owner or root can remove it")
	} else if n := len(foreign); n > 1 {
		r.say("%d matching objects belong to other users; only their owners or root can remove them", n)
	}
	r.reportUndecided(inv, want, choice)
	return targets, nil
}

// askedFor returns the targets without POSIX objects that were not explicitly asked
// for. A POSIX object cannot be told from a file that a program keeps in /dev/shm for
// later.
func (r *rmRun) askedFor(all []removal.Target) (targets, files []removal.Target) {
	if r.selected.AsksForPOSIX() {
		return all, nil
	}
	for _, t := range all {
		if t.Kind.POSIX() {
			files = append(files, t)
		} else {
			targets = append(targets, t)
		}
	}
	return targets, files
}

// reportUndecided reports how many removable objects might match, and the flags that
// decide it.
func (r *rmRun) reportUndecided(inv *inventory.Inventory, want inventory.Want, choice selection.Choice) {
	count := func(objects []inventory.Object) int {
		mine, _ := removal.Select(inv, want, objects)
		mine, _ = r.askedFor(mine)
		return len(mine)
	}
	if n := count(r.leftForMessages(inv, choice)); n > 0 {
		r.say("%s passed over; add --with-messages to remove %s", counted(n, "matching queue with unread messages is", "matching queues with unread messages are"), them(n))
	}
	var hidden []inventory.Object
	for _, o := range choice.Undecided {
		if inv.Obscured(&o) {
			hidden = append(hidden, o)
		}
	}
	if n := count(hidden); n > 0 {
		r.say("%s match: %s; add --ignore-hidden to assume that they use none of these", counted(n, "more object may", "more objects may"), hiddenIn(inv))
	}
}

// leftForMessages returns the queues that would match without their messages.
func (r *rmRun) leftForMessages(inv *inventory.Inventory, choice selection.Choice) []inventory.Object {
	with := *inv
	with.WithMessages, with.Objects = true, nil
	if inv.WithMessages {
		return nil
	}
	selected := make(map[ref.Object]bool)
	for i := range choice.Selected {
		selected[choice.Selected[i].Ref()] = true
	}
	for i := range inv.Objects {
		if o := &inv.Objects[i]; o.HoldsMessages() && !selected[o.Ref()] {
			with.Objects = append(with.Objects, *o)
		}
	}
	return r.selected.Choose(&with, r.names).Selected
}

// hiddenIn describes the processes that could not be inspected.
func hiddenIn(inv *inventory.Inventory) string {
	if inv.Outside {
		return "processes outside this pid namespace are not visible"
	}
	return inv.Hidden.String()
}

// matching returns "N NOUNs match".
func matching(n int, noun string) string { return counted(n, noun+" matches", noun+"s match") }

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
