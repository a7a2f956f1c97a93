package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/removallog"
	"github.com/sysvipc/gipc/sysv"
)

// TestRemovedAnyway: an object that was removed counts as removed, also in the log, even if
// its backup was not completed.
func TestRemovedAnyway(t *testing.T) {
	for _, tt := range []struct {
		reason  error
		lines   int
		outcome outcome
	}{
		{&removal.Removed{Err: errors.New("still used")}, 1, wasRemoved},
		{errors.New("denied"), 2, hasFailed},
	} {
		path := filepath.Join(t.TempDir(), "log")
		log, err := removallog.Open(path, removallog.Why{})
		if err != nil {
			t.Fatal(err)
		}
		target := removal.Target{Kind: ref.Sem, ID: 3, Object: &inventory.Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 3}}}
		if err := log.Removing(target.Object); err != nil {
			t.Fatal(err)
		}
		if err := (steps{log: log}).failed(target, tt.reason); !errors.Is(err, tt.reason) {
			t.Errorf("%v became %v", tt.reason, err)
		}
		text, err := os.ReadFile(path)
		if n := strings.Count(string(text), "\n"); n != tt.lines || errors.Join(err, log.Close()) != nil {
			t.Errorf("%v: %d lines, %v; want %d: %s", tt.reason, n, err, tt.lines, text)
		}
		if got := outcomeOf(tt.reason); got != tt.outcome {
			t.Errorf("%v: %v, want %v", tt.reason, got, tt.outcome)
		}
	}
}
