package removal

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
)

const (
	selectedMode fs.FileMode = 0o600
	otherMode    fs.FileMode = 0o644
)

// TestChurn keeps removing the objects that have one mode, while objects are made and
// removed that reuse the identifiers of selected ones but have another mode. In 10,000
// rounds no object with the other mode may be lost, and every selected object that nothing
// disturbs must be removed.
func TestChurn(t *testing.T) {
	const rounds, stable = 10_000, 20
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			c := churn{kind: kind, id: 5<<15 + 700}
			for range stable {
				create(t, kind, selectedMode)
			}
			if err := chooseID(kind, c.id); err != nil {
				t.Skipf("no identifier can be chosen here: %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- c.run() }()
			removed, skipped := 0, 0
			for range ipctest.Rounds(t, math.MaxInt, 0) {
				n := c.rounds.Load()
				enough := n >= rounds && skipped > 0 || n >= 10*rounds
				if len(done) > 0 || enough && !ipctest.Soaking() {
					break
				}
				r, s := removeSelected(t, kind)
				removed, skipped = removed+r, skipped+s
			}
			c.stop.Store(true)
			if err := <-done; err != nil {
				t.Error(err)
			}
			t.Logf("%d rounds, %d removed, %d left alone", c.rounds.Load(), removed, skipped)
			if removed < stable {
				t.Errorf("%d objects were removed, want %d at least", removed, stable)
			}
		})
	}
}

// removeSelected removes all objects of selectedMode.
func removeSelected(t *testing.T, kind ref.Kind) (removed, skipped int) {
	inv, err := inventory.Collect(inventory.Options{Kinds: []ref.Kind{kind}, Want: inventory.WantSemaphores})
	if err != nil {
		t.Fatal(err)
	}
	objects := slices.DeleteFunc(inv.Objects, func(o inventory.Object) bool { return o.Perm().Mode != selectedMode })
	targets, _ := Select(inv, inventory.WantSemaphores, objects)
	for _, err := range Remove(t.Context(), targets, Options{}) {
		var s *Skipped
		switch {
		case err == nil:
			removed++
		case errors.As(err, &s):
			skipped++
		default:
			t.Error(err)
		}
	}
	return removed, skipped
}

// A churn makes one object after another under one identifier, alternating between
// selectedMode and otherMode.
type churn struct {
	kind   ref.Kind
	id     int
	rounds atomic.Int64
	stop   atomic.Bool
}

func (c *churn) run() error {
	for !c.stop.Load() {
		for _, mode := range []fs.FileMode{selectedMode, otherMode} {
			if err := chooseID(c.kind, c.id); err != nil {
				return err
			}
			id, err := makeOne(c.kind, mode)
			if err != nil {
				return err
			}
			if id != c.id {
				return errors.New("the object has another identifier")
			}
			if err := destroy(c.kind, id); err != nil && mode == otherMode {
				return errors.New("an object was lost that was not selected")
			}
		}
		c.rounds.Add(1)
	}
	return nil
}
