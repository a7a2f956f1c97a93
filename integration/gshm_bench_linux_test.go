package integration_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestGshmBenchEnds ends gshm bench in the middle of a measurement that needs its objects
// until its end. gshm must remove them or, if it is killed, its peers must.
func TestGshmBenchEnds(t *testing.T) {
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	for _, test := range []struct {
		way    string
		signal os.Signal
		status int
		stderr string
	}{
		{"sysv-sem", os.Interrupt, 1, "gshm: interrupted; what is missing was not measured"},
		{"sysv-msg", unix.SIGTERM, 1, "gshm: interrupted; what is missing was not measured"},
		{"sysv-sem", os.Kill, -1, ""},
		{"sysv-msg", os.Kill, -1, ""},
	} {
		t.Run(test.way+"/"+test.signal.String(), func(t *testing.T) {
			inNamespace(t)
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(gshm, "bench", "--duration", "1m", "--sizes", "1", "--only", test.way, "--format", "plain")
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := eventually(func() bool { return measuring(t) }); err != nil {
				t.Errorf("waiting for messages to pass: %v", err)
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // its status is checked below
			if got := cmd.ProcessState.ExitCode(); got != test.status {
				t.Errorf("exit status %d, want %d", got, test.status)
			}
			said := strings.TrimPrefix(stderr.String(), "gshm: only one processor may run this: nothing is measured across cores\n")
			if got := strings.TrimSpace(said); got != test.stderr {
				t.Errorf("stderr %q, want %q", got, test.stderr)
			}
			if strings.Count(stdout.String(), "\n") > 1 {
				t.Errorf("it prints %q", stdout.String())
			}
			if err := eventually(func() bool { return len(objects(t.Fatal)) == 0 }); err != nil {
				t.Errorf("left: %v", objects(t.Fatal))
			}
			if left := ipctest.Strangers(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// measuring reports whether messages have passed through semaphores or a queue.
func measuring(t *testing.T) bool {
	for s, err := range sysv.Sets() {
		if err != nil {
			t.Fatal(err)
		}
		if !s.OTime.IsZero() {
			return true
		}
	}
	for q, err := range sysv.Queues() {
		if err != nil {
			t.Fatal(err)
		}
		if !q.RTime.IsZero() {
			return true
		}
	}
	return false
}
