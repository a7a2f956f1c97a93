//go:build linux

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// A chooser chooses the objects that are to be removed, and reports which other matching
// objects it passes over.
type chooser struct {
	*cli.Context
	selected selection.Selection
	assume   inventory.Options // what to assume besides what flags say
	names    *account.Directory
	protect  func(*inventory.Inventory, []removal.Target) []removal.Target // or nil
	more     inventory.Want                                                // what protect needs
	say      func(format string, args ...any)
	advice   advice

	incomplete bool // some objects of the requested kinds may not be visible
}

// advice says how the user can have the objects that are passed over. where is the user's
// name for expressions. posix and messages are formats for "it" or "them".
type advice struct{ where, posix, messages, hidden string }

// flagAdvice is the advice of gipcs rm.
func flagAdvice() advice {
	return advice{
		where:    "--where",
		posix:    "add --kind sysv,posix to remove %s",
		messages: "add --with-messages to remove %s",
		hidden:   "add --ignore-hidden to assume that they use none of these",
	}
}

// want returns what must be collected. The semaphores are part of a set's state at
// selection.
func (s *chooser) want() inventory.Want {
	return s.selected.Want() | s.more | inventory.WantSemaphores
}

func (s *chooser) collect() (*inventory.Inventory, error) {
	o := s.assume
	o.Want = s.want()
	return collectWith(s.Context, s.selected, o)
}

// targets returns the objects to remove.
func (s *chooser) targets() ([]removal.Target, error) {
	inv, err := s.collect()
	if err != nil {
		return nil, err
	}
	if !s.selected.AsksForPOSIX() {
		inv.Unlisted = nil
	}
	s.incomplete = reportUnselected(s.Context, inv, s.selected)
	choice := s.selected.Choose(inv, s.names)
	if err := choice.Err(); err != nil {
		s.say("%s: %v", s.advice.where, err)
		s.incomplete = true
	}
	mine, foreign := removal.Select(inv, s.want(), choice.Selected)
	targets, files := s.askedFor(mine)
	if s.protect != nil {
		targets = s.protect(inv, targets)
	}
	if n := len(files); n > 0 {
		s.say("%s too; "+s.advice.posix, matching(n, "POSIX object"), them(n))
	}
	if foreign, _ = s.askedFor(foreign); len(foreign) == 1 {
		s.say("1 matching object belongs to another user; only its owner or root can remove it")
	} else if n := len(foreign); n > 1 {
		s.say("%d matching objects belong to other users; only their owners or root can remove them", n)
	}
	s.reportUndecided(inv, choice)
	return targets, nil
}

// askedFor returns the targets without POSIX objects that were not explicitly asked
// for. A POSIX object cannot be told from a file that a program keeps in /dev/shm for
// later.
func (s *chooser) askedFor(all []removal.Target) (targets, files []removal.Target) {
	if s.selected.AsksForPOSIX() {
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

// reportUndecided reports how many removable objects might match, and what decides it.
func (s *chooser) reportUndecided(inv *inventory.Inventory, choice selection.Choice) {
	count := func(objects []inventory.Object) int {
		mine, _ := removal.Select(inv, s.want(), objects)
		mine, _ = s.askedFor(mine)
		return len(mine)
	}
	if n := count(s.leftForMessages(inv, choice)); n > 0 {
		s.say("%s passed over; "+s.advice.messages, counted(n, "matching queue with unread messages is", "matching queues with unread messages are"), them(n))
	}
	var hidden []inventory.Object
	for _, o := range choice.Undecided {
		if inv.Obscured(&o) {
			hidden = append(hidden, o)
		}
	}
	if n := count(hidden); n > 0 {
		s.say("%s match: %s; %s", counted(n, "more object may", "more objects may"), hiddenIn(inv), s.advice.hidden)
	}
}

// leftForMessages returns the queues that would match without their messages.
func (s *chooser) leftForMessages(inv *inventory.Inventory, choice selection.Choice) []inventory.Object {
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
	return s.selected.Choose(&with, s.names).Selected
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

// conditions returns the expressions of a selection.
func conditions(s selection.Selection) (texts []string) {
	for _, c := range s {
		texts = append(texts, c.String())
	}
	return texts
}
