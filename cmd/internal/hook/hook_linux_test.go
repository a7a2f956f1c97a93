package hook_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/hook"
)

// start starts a hook that runs a shell script. The lines that it prints can be read from
// out, and errors from failed.
func start(t *testing.T, script string, change func(*hook.Options)) (h *hook.Hook, out *bufio.Reader, failed chan string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	failed = make(chan string, 100)
	o := hook.Options{
		Command: []string{"/bin/sh", "-c", script}, Environ: []string{"PATH=/usr/bin:/bin"}, Timeout: time.Hour, Queue: 4, Output: w,
		Failed: func(e hook.Event, err error) { failed <- e.Name + ": " + err.Error() },
	}
	if change != nil {
		change(&o)
	}
	h = hook.Start(o)
	t.Cleanup(func() {
		h.Stop()
		r.Close()
		w.Close()
	})
	return h, bufio.NewReader(r), failed
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

// TestEvents: the command gets each event in its environment and on its standard input, one
// after the other.
func TestEvents(t *testing.T) {
	h, out, failed := start(t, `read -r x; echo "$NAME $x"`, nil)
	for i := range 3 {
		if !h.Pass(hook.Event{Environ: []string{fmt.Sprint("NAME=", i)}, Input: []byte("text\n")}) {
			t.Fatal("dropped")
		}
	}
	h.Close(t.Context())
	for i := range 3 {
		if got := line(t, out); got != fmt.Sprint(i, " text") {
			t.Errorf("%q", got)
		}
	}
	if len(failed) > 0 || h.Dropped() > 0 {
		t.Errorf("%d failed, %d dropped", len(failed), h.Dropped())
	}
}

// TestFailures: a failure is reported with the event, and the next event is passed. Input
// that the command does not read is no failure.
func TestFailures(t *testing.T) {
	h, _, failed := start(t, `exit $STATUS`, nil)
	large := []byte(strings.Repeat("x", 1<<20))
	for _, status := range []string{"3", "0", "4"} {
		h.Pass(hook.Event{Name: "event " + status, Environ: []string{"STATUS=" + status}, Input: large})
	}
	h.Close(t.Context())
	got := []string{<-failed, <-failed}
	if want := []string{"event 3: exit status 3", "event 4: exit status 4"}; !slices.Equal(got, want) || len(failed) > 0 {
		t.Errorf("%q, want %q", got, want)
	}
	h, _, failed = start(t, "", func(o *hook.Options) { o.Command = []string{"/nonexistent"} })
	h.Pass(hook.Event{Name: "event"})
	h.Close(t.Context())
	if got := <-failed; !strings.Contains(got, "no such file") {
		t.Errorf("%q", got)
	}
}

// TestSlow: a command that does not end stalls nobody. Events for which the queue has no room
// are dropped, and Stop ends the command and what it started.
func TestSlow(t *testing.T) {
	h, out, failed := start(t, `sleep 1000 & echo $!; wait`, nil)
	h.Pass(hook.Event{})
	child := line(t, out)
	passed := 0
	for range 10 {
		if h.Pass(hook.Event{}) {
			passed++
		}
	}
	if passed != 4 || h.Dropped() != 6 {
		t.Errorf("%d passed, %d dropped, want 4 and 6", passed, h.Dropped())
	}
	h.Stop()
	if h.Dropped() != 10 || len(failed) > 0 {
		t.Errorf("%d dropped, %d failed, want 10 and none", h.Dropped(), len(failed))
	}
	waitGone(t, child)
}

// waitGone waits until a process has ended.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s still runs: %s", pid, stat)
		}
	}
}

// TestTimeout: a command that takes too long is ended, even if it ignores SIGTERM.
func TestTimeout(t *testing.T) {
	h, out, failed := start(t, `trap '' TERM; sleep 1000 & echo $$; echo $!; wait; wait`, func(o *hook.Options) { o.Timeout = 50 * time.Millisecond })
	h.Pass(hook.Event{Name: "event"})
	pid, child := line(t, out), line(t, out)
	if got := <-failed; got != "event: it did not end within 50ms" {
		t.Errorf("%q", got)
	}
	waitGone(t, pid)
	waitGone(t, child)
}

// TestCloseCanceled: a context ends Close before the queue is empty.
func TestCloseCanceled(t *testing.T) {
	h, out, _ := start(t, `echo $$; exec sleep 1000`, nil)
	h.Pass(hook.Event{})
	h.Pass(hook.Event{})
	line(t, out)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Close(ctx)
	if h.Dropped() != 1 {
		t.Errorf("%d dropped, want 1", h.Dropped())
	}
}
