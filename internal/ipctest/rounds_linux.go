package ipctest

import (
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The environment variable soak, set by integration/soak.sh, is how long Rounds continues,
// in the format of time.ParseDuration.
const soak = "GIPC_SOAK"

// Soaking reports whether tests run for a time instead of a number of rounds.
func Soaking() bool { return os.Getenv(soak) != "" }

// Rounds returns the rounds of a test that repeats itself and kills kills processes in
// each round: usual rounds, a tenth of that with -short, and in a soak as many as there
// is time for. It records the numbers as attributes of the test. A soak fails the test
// if this process, or one of longLived, grows meanwhile.
func Rounds(t testing.TB, usual, kills int, longLived ...int) iter.Seq[int] {
	t.Helper()
	var more func(round int) bool
	soaking := Soaking()
	if soaking {
		d, err := time.ParseDuration(os.Getenv(soak))
		if err != nil {
			t.Fatalf("%s: %v", soak, err)
		}
		end := time.Now().Add(d)
		more = func(int) bool { return time.Now().Before(end) }
	} else {
		if testing.Short() {
			usual = max(usual/10, 1)
		}
		more = func(round int) bool { return round < usual }
	}
	return func(yield func(int) bool) {
		var warm []usage
		round, watched := 0, append([]int{os.Getpid()}, longLived...)
		defer func() {
			t.Attr("rounds", strconv.Itoa(round))
			t.Attr("kills", strconv.Itoa(round*kills))
			for i := range warm {
				warm[i].compare(t, used(t, watched[i]))
			}
		}()
		for ; more(round); round++ {
			// By then tables, caches and the thread pool have grown.
			const warmUp = 100
			if soaking && round == warmUp {
				for _, pid := range watched {
					warm = append(warm, used(t, pid))
				}
			}
			if !yield(round) {
				return
			}
		}
	}
}

// A usage is what a process uses of the resources that it could leak.
type usage struct{ pid, goroutines, threads, files, memory int }

func used(t testing.TB, pid int) usage {
	t.Helper()
	u := usage{pid: pid}
	if pid == os.Getpid() {
		debug.FreeOSMemory() // returns freed memory first
		u.goroutines = runtime.NumGoroutine()
	}
	dir := fmt.Sprintf("/proc/%d", pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		// Shared memory grows with what the test writes there, so count private memory
		// only.
		_, _ = fmt.Sscanf(line, "RssAnon: %d", &u.memory)
		_, _ = fmt.Sscanf(line, "Threads: %d", &u.threads)
	}
	files, err := os.ReadDir(dir + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(files)
	return u
}

// compare fails the test if usage has grown. The allowance is less than a soak would
// leak at a rate of one in ten rounds.
func (before usage) compare(t testing.TB, now usage) {
	t.Helper()
	t.Logf("soak: process %d: %d goroutines, %d threads, %d files, %d kB after %d, %d, %d, %d kB", now.pid,
		now.goroutines, now.threads, now.files, now.memory, before.goroutines, before.threads, before.files, before.memory)
	for _, c := range []struct {
		what                string
		before, now, margin int
	}{
		{"goroutines", before.goroutines, now.goroutines, 8},
		{"threads", before.threads, now.threads, 16},
		{"open files", before.files, now.files, 8},
		{"kB of memory", before.memory, now.memory, 16 << 10},
	} {
		if c.now > c.before+c.margin {
			t.Errorf("process %d began with %d %s and ended with %d", now.pid, c.before, c.what, c.now)
		}
	}
}
