package watch

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// Options holds the options of a Watcher.
type Options struct {
	// Wait is how long a thread may wait before it is reported; 0 reports none. The
	// inventories must have been collected with inventory.WantWaiting.
	Wait time.Duration
	// Verdicts reports changed verdicts. The inventories must have been collected with
	// inventory.WantVerdict.
	Verdicts bool
	// High reports whether so much of a limit is in use that it is reported; nil reports no
	// limit.
	High func(limits.Limit) bool
	// Look returns the current state of an object, or fs.ErrNotExist: see inventory.Look.
	// An object that a listing lacks is removed only if Look does not find it either.
	Look func(ref.Object) (inventory.Object, error)
}

// A Watcher compares each look with the one before. Its zero value is not ready for use; see
// New. It is not safe for concurrent use.
type Watcher struct {
	o       Options
	last    *inventory.Inventory // nil before the first look
	objects map[ref.Object]*inventory.Object
	order   []*inventory.Object    // the same objects, as they were listed
	listed  map[ref.Kind]time.Time // when the objects of a kind were listed last
	births  map[ref.Object]*birth  // announced files that no look has found yet
	created int                    // how many files were announced
	waits   map[wait]*waitState
	high    map[limitName]bool
	// Undated is the number of waits in the last look whose beginning is unknown. They are
	// not reported.
	Undated int
}

// New returns a Watcher.
func New(o Options) *Watcher {
	return &Watcher{
		o:       o,
		objects: make(map[ref.Object]*inventory.Object),
		listed:  make(map[ref.Kind]time.Time),
		births:  make(map[ref.Object]*birth),
		waits:   make(map[wait]*waitState),
		high:    make(map[limitName]bool),
	}
}

// Objects returns the number of objects in the last look.
func (w *Watcher) Objects() int { return len(w.objects) }

// Compare returns what happened since the last look. now is the next look, which the Watcher
// keeps; it must list the same kinds each time. notices are those received until now was
// complete. all are the limits, which are compared only if Options.High is set.
func (w *Watcher) Compare(now *inventory.Inventory, notices []Notice, all []limits.Limit) []Event {
	c := &comparison{Watcher: w, now: now, found: make(map[ref.Object]*inventory.Object, len(now.Objects))}
	c.files = readNotices(c, notices)
	c.findUnlisted()
	for i := range now.Objects {
		c.object(&now.Objects[i])
	}
	for _, old := range w.order {
		c.missing(old)
	}
	c.files.forget()
	w.objects, w.order, w.last = c.found, c.order, now
	for _, kind := range ref.Kinds() {
		if !c.unlisted[kind] {
			w.listed[kind] = now.Taken
		}
	}
	if w.o.Wait > 0 {
		c.findWaits()
	}
	if w.o.High != nil {
		c.findLimits(all)
	}
	slices.SortStableFunc(c.events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return c.events
}

// A comparison compares two looks.
type comparison struct {
	*Watcher
	now      *inventory.Inventory
	found    map[ref.Object]*inventory.Object // the objects that are there now
	order    []*inventory.Object
	files    *files
	unlisted map[ref.Kind]bool // kinds that could not be listed this time
	events   []Event
}

// add adds an event that a look shows.
func (c *comparison) add(what What, o *inventory.Object) *Event {
	return c.report(Event{What: what, Time: c.now.Taken, After: c.listed[o.Kind], Ref: o.Ref(), Object: o, Inventory: c.now})
}

func (c *comparison) report(e Event) *Event {
	c.events = append(c.events, e)
	return &c.events[len(c.events)-1]
}

// keep notes that an object is there.
func (c *comparison) keep(o *inventory.Object) {
	c.found[o.Ref()] = o
	c.order = append(c.order, o)
}

// findUnlisted finds the kinds that could not be listed. Nothing is known of their objects,
// so they are not gone.
func (c *comparison) findUnlisted() {
	c.unlisted = make(map[ref.Kind]bool)
	for _, u := range c.now.Unlisted {
		if facts := (*sysvipc.Incomplete)(nil); !errors.As(u.Err, &facts) { // otherwise see isThere
			c.unlisted[u.Kind] = true
		}
	}
}

// object compares an object with the last look.
func (c *comparison) object(o *inventory.Object) {
	if c.files.gone(o) {
		return
	}
	c.keep(o)
	name := o.Ref()
	old := c.objects[name]
	if c.files.removed[name] {
		old = nil
	}
	switch {
	case c.listed[o.Kind].IsZero():
		delete(c.births, name)
		c.add(Present, o)
		return
	case old == nil:
		c.made(o)
		old = &inventory.Object{Kind: o.Kind}
	case !same(old, o):
		c.removed(old)
		c.made(o)
		old = &inventory.Object{Kind: o.Kind}
	case c.o.Verdicts && old.Use != nil && o.Use != nil && old.Use.Verdict != o.Use.Verdict:
		c.add(Verdict, o).Before = old.Use.Verdict
	}
	if o.Kind == ref.Shm {
		c.segment(old, o)
	}
}

// segment compares a segment with an earlier state, which is empty for a new one.
func (c *comparison) segment(old, o *inventory.Object) {
	var attachments uint64
	marked := false
	if old.Segment != nil {
		attachments, marked = old.Segment.NAttch, old.Segment.Dest
	}
	switch now := o.Segment.NAttch; {
	case now > attachments:
		c.add(Attached, o).Attachments = attachments
	case now < attachments:
		c.add(Detached, o).Attachments = attachments
	}
	if o.Segment.Dest && !marked {
		c.add(Marked, o)
	}
}

// made reports an object that is there now, at the time at which it was announced if it was.
func (c *comparison) made(o *inventory.Object) {
	e := c.add(Made, o)
	if b := c.births[o.Ref()]; b != nil {
		e.Time, e.Notified = b.at, true
		delete(c.births, o.Ref())
	}
}

// removed reports an object of the last look that is there no more.
func (c *comparison) removed(old *inventory.Object) {
	e := c.add(Removed, old)
	e.Inventory = c.last
}

// missing looks for an object of the last look in this one.
func (c *comparison) missing(old *inventory.Object) {
	name := old.Ref()
	switch {
	case c.found[name] != nil || c.files.removed[name]:
	case c.unlisted[old.Kind] || c.isThere(old):
		c.keep(old)
	default:
		c.removed(old)
	}
}

// isThere reports whether an object that the listing lacks may exist.
func (c *comparison) isThere(old *inventory.Object) bool {
	if c.o.Look == nil {
		return false
	}
	o, err := c.o.Look(old.Ref())
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return same(old, &o)
}
