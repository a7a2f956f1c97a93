package inventory

import "time"

// slack is how far apart two times for the same moment may be: both are truncated to
// seconds, and a leap second may lie between them.
const slack = 2 * time.Second

// A clock compares the time of an object with the start of a process. The former comes
// from the wall clock when something happened. The latter is kept as time since the boot,
// and becomes a wall time by adding the boot time as computed now. If the wall clock was
// set forward in between, or the host suspended the machine, the process seems to have
// started later than it did.
type clock struct {
	boot time.Time
	// step is a lower bound of how far the wall clock was set forward since the boot.
	step time.Duration
}

// started returns the wall time of a process's start.
func (c clock) started(sinceBoot time.Duration) time.Time { return c.boot.Add(sinceBoot) }

// after reports whether a process was started after t, and whether that is certain.
func (c clock) after(sinceBoot time.Duration, t time.Time) (after, sure bool) {
	return c.started(sinceBoot).Sub(t) > slack, c.sure(t)
}

// sure reports whether times since t can be compared. IPC objects do not outlive a reboot,
// so an object older than the boot also shows that the clock was set.
func (c clock) sure(t time.Time) bool { return c.step <= slack && c.boot.Sub(t) <= slack }
