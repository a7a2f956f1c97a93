package removal

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removallog"
	"github.com/sysvipc/gipc/internal/ipctest"
)

// playRemoveNamed removes all objects of selectedMode as if they had been named on the
// command line, with a log.
func playRemoveNamed(args []string) error {
	log, err := removallog.Open(args[0], removallog.Why{})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ipctest.Told()
	targets, err := named(kinds)
	if err != nil {
		return err
	}
	for _, err := range Remove(context.Background(), targets, Options{Before: step(log.Removing)}) {
		if err != nil {
			return err
		}
	}
	return log.Close()
}

// named returns targets for all objects of selectedMode.
func named(kinds []ref.Kind) (targets []Target, err error) {
	inv, err := inventory.Collect(inventory.Options{Kinds: kinds})
	if err != nil {
		return nil, err
	}
	for _, o := range inv.Objects {
		if o.Perm().Mode == selectedMode {
			targets = append(targets, Target{Kind: o.Kind, ID: o.ID(), Object: &o})
		}
	}
	return targets, nil
}

// TestRemoverIsKilled kills a removing process at random moments. The process must have
// removed only chosen objects, each with a complete line in its log, and another process
// must be able to remove the rest.
func TestRemoverIsKilled(t *testing.T) {
	for _, kind := range kinds {
		create(t, kind, otherMode)
	}
	within, halfWay := 10*time.Millisecond, 0
	path := filepath.Join(t.TempDir(), "log")
	for range ipctest.Rounds(t, 100, 1) {
		made := makeSelected(t)
		p := ipctest.Start(t, "remove named", nil, path)
		p.Line()
		p.Tell("go")
		time.Sleep(rand.N(within))
		p.Kill()

		left, err := named(kinds)
		if err != nil {
			t.Fatal(err)
		}
		wantLogged(t, path, made, left)
		switch len(left) {
		case 0:
			within = max(within*7/8, time.Millisecond)
		case len(made):
			within = min(within*8/7, time.Second)
		default:
			halfWay++
		}
		for target, err := range Remove(t.Context(), left, Options{}) {
			if err != nil {
				t.Errorf("%v: %v", target, err)
			}
		}
		wantOnlyOthers(t)
	}
	t.Logf("killed half-way %d times", halfWay)
	if halfWay == 0 && !testing.Short() {
		t.Error("no kill hit anything")
	}
}

// makeSelected makes objects of selectedMode, some of each kind, and returns their names.
func makeSelected(t *testing.T) []string {
	t.Helper()
	const each = 10
	var made []string
	for _, kind := range kinds {
		for range each {
			id, err := makeOne(kind, selectedMode)
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, fmt.Sprintf("%v:%d", kind, id))
		}
	}
	return made
}

// wantLogged checks that the log has a line for each object that is not left, and at most
// one more, for the removal that the kill prevented.
func wantLogged(t *testing.T, path string, made []string, left []Target) {
	t.Helper()
	logged := logged(t, path)
	stay := make(map[string]bool)
	for _, target := range left {
		stay[target.String()] = true
	}
	gone := slices.DeleteFunc(slices.Clone(made), func(name string) bool { return stay[name] })
	for _, name := range gone {
		if !logged[name] {
			t.Errorf("%s was removed without a line in the log", name)
		}
	}
	if n := len(logged); n > len(gone)+1 {
		t.Errorf("%d removals are logged, %d objects are gone", n, len(gone))
	}
}

// wantOnlyOthers checks that only the object that was not chosen is left of each kind.
func wantOnlyOthers(t *testing.T) {
	t.Helper()
	for _, kind := range kinds {
		inv, err := inventory.Collect(inventory.Options{Kinds: []ref.Kind{kind}})
		if err != nil || len(inv.Objects) != 1 || inv.Objects[0].Perm().Mode != otherMode {
			t.Fatalf("%v: want only the object that was not chosen, got %v, %v", kind, inv, err)
		}
	}
}

// logged returns the objects with a complete line in the log, and removes the log.
func logged(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for l := range strings.Lines(string(text)) {
		var entry struct {
			Kind string
			ID   int
		}
		if !strings.HasSuffix(l, "\n") {
			break // killed in the middle of the line
		}
		if err := json.Unmarshal([]byte(l), &entry); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		all[fmt.Sprintf("%s:%d", entry.Kind, entry.ID)] = true
	}
	return all
}
