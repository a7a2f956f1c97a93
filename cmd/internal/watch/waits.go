package watch

import (
	"time"

	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A wait is a thread that waits on an object.
type wait struct {
	object ref.Object
	tid    int
}

// A waitState says since when, and whether that was reported.
type waitState struct {
	since    time.Time
	reported bool
}

// findWaits reports each wait once that has lasted for Options.Wait.
func (c *comparison) findWaits() {
	// The beginning of a wait is computed anew for each look, from clocks of which one may
	// lag by a tick.
	const blur = 100 * time.Millisecond
	waits := make(map[wait]*waitState)
	c.Undated = 0
	for i := range c.now.Objects {
		o := &c.now.Objects[i]
		if o.Use == nil {
			continue
		}
		for j := range o.Use.Waiting {
			w := &o.Use.Waiting[j]
			if w.Since.IsZero() {
				c.Undated++
				continue
			}
			key := wait{o.Ref(), w.TID}
			s := c.waits[key]
			if s == nil || w.Since.Sub(s.since) > blur {
				s = &waitState{since: w.Since}
			}
			waits[key] = s
			if s.reported || c.now.Taken.Sub(w.Since) < c.o.Wait {
				continue
			}
			s.reported = true
			e := c.add(Waiting, o)
			e.After, e.Waiter = time.Time{}, w
		}
	}
	c.waits = waits
}

// A limitName identifies a limit.
type limitName struct {
	kind ref.Kind
	name string
}

// findLimits reports the limits that became high, or are so at the first look, and those
// that are high no more.
func (c *comparison) findLimits(all []limits.Limit) {
	for i := range all {
		l := &all[i]
		name := limitName{l.Kind, l.Name}
		high := c.o.High(*l)
		if !l.Counted || high == c.high[name] {
			continue
		}
		c.high[name] = high
		c.report(Event{What: Limit, Time: c.now.Taken, After: c.listed[l.Kind], Ref: ref.Object{Kind: l.Kind}, Limit: l, High: high})
	}
}
