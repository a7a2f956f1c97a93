package watch

import (
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// What is what happened.
type What int

// The kinds of events.
const (
	Present  What = iota // the object was there at the first look
	Made                 // the object was created
	Marked               // the segment is destroyed with its last attachment
	Removed              // the object is gone
	Attached             // the segment has more attachments
	Detached             // the segment has fewer attachments
	Waiting              // a thread waits too long
	Limit                // the use of a limit rose above a percentage, or fell below it
	Verdict              // the verdict changed
)

func words() []string {
	return []string{"present", "made", "marked", "removed", "attached", "detached", "waiting", "limit", "verdict"}
}

// Words returns the words for all kinds of events, in the order of the constants.
func Words() []string { return words() }

func (w What) String() string { return words()[w] }

// Parse returns the event that a word stands for, false if there is none.
func Parse(word string) (w What, ok bool) {
	i := slices.Index(words(), word)
	return What(i), i >= 0
}

// An Event is something that happened to an object or a limit.
type Event struct {
	What What
	// Time is when the event was noticed. It happened after After, which is zero if that is
	// not known: for Present, Waiting and what the first look finds.
	Time, After time.Time

	Ref ref.Object // of a Limit only the kind
	// Object is the object as it was last seen, in the look Inventory. It is nil for a Limit,
	// and for a file that was removed before it could be looked at.
	Object    *inventory.Object
	Inventory *inventory.Inventory
	// Notified is set if the kernel reported the event (inotify(7)). Otherwise two looks
	// differed.
	Notified bool

	Actors      []inventory.Actor // those of Object, if FindActors was called
	Attachments uint64            // for Attached and Detached: how many there were before
	Waiter      *inventory.Waiter // for Waiting
	Before      inventory.Verdict // for Verdict: the one before
	Limit       *limits.Limit     // for Limit
	High        bool              // for Limit: its use rose above the percentage
}

// role returns what the process did that the kernel names for an event.
func (e *Event) role() (r inventory.Role, ok bool) {
	if e.Object == nil || e.Object.Kind != ref.Shm {
		return 0, false
	}
	switch e.What {
	case Present, Made:
		return inventory.Creator, true
	case Attached, Detached:
		return inventory.User, true
	default:
		return 0, false
	}
}

// Actor returns the process that the kernel names for an event: the creator of a segment
// that was made, or the last process that attached or detached one. The latter need not have
// caused the event, if several processes did so since the look before. It returns nil if the
// kernel names none, or FindActors was not called.
func (e *Event) Actor() *inventory.Actor {
	role, ok := e.role()
	for i := range e.Actors {
		if a := &e.Actors[i]; ok && a.Role == role && a.PID != 0 {
			return a
		}
	}
	return nil
}

// FindActors fills Actors of the events for which the kernel names a process.
func FindActors(events []Event) error {
	var objects []*inventory.Object
	var of []*Event
	for i := range events {
		if _, ok := events[i].role(); ok {
			objects, of = append(objects, events[i].Object), append(of, &events[i])
		}
	}
	if len(objects) == 0 {
		return nil
	}
	actors, err := inventory.FindActors(objects)
	for i, e := range of {
		e.Actors = actors[i]
	}
	return err
}
