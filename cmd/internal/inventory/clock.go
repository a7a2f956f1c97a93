package inventory

import "time"

// slack is how far two times may be apart that stand for the same moment: both are
// cut to seconds, and a leap second may lie between.
const slack = 2 * time.Second

// A clock compares the time of an object, taken from the wall clock when something
// happened, with the start of a process, which is kept as the time since the boot
// and becomes a wall time only by adding the boot time as it is figured now. If
// the wall clock was set in between, forward, or the machine was suspended by its
// host, the process seems to have started later than it did.
type clock struct {
	boot time.Time
	// step is by how much, at least, the wall clock was set forward since the boot.
	step time.Duration
}

// started returns the wall time of a process's start.
func (c clock) started(sinceBoot time.Duration) time.Time { return c.boot.Add(sinceBoot) }

// after tells whether a process was started after t, and whether that is sure.
func (c clock) after(sinceBoot time.Duration, t time.Time) (after, sure bool) {
	return c.started(sinceBoot).Sub(t) > slack, c.sure(t)
}

// sure reports whether times since t can be compared. IPC objects do not outlive a reboot,
// so an object older than the boot shows, too, that the clock was set.
func (c clock) sure(t time.Time) bool { return c.step <= slack && c.boot.Sub(t) <= slack }
