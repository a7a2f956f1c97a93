package inventory

import (
	"testing"
	"time"
)

// TestClockStep: a boot that seems later than /dev shows that the clock was set forward; if
// it is much earlier, /dev was made later, and nothing is known.
func TestClockStep(t *testing.T) {
	now := time.Now()
	step, known := ClockStep(now.Add(time.Hour))
	if !known {
		t.Skip("the kernel does not report when /dev was made")
	}
	if step < time.Hour {
		t.Errorf("/dev was made %v before an hour from now", step)
	}
	made := now.Add(time.Hour - step)
	if step, known := ClockStep(made.Add(-30 * time.Second)); step != 0 || !known {
		t.Errorf("booted 30 s before /dev was made: set forward by %v, known: %t", step, known)
	}
	if step, known := ClockStep(made.Add(-2 * time.Minute)); step != 0 || known {
		t.Errorf("booted 2 min before /dev was made: set forward by %v, known: %t", step, known)
	}
}
