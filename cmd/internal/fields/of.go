package fields

import (
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// Of returns the columns for what the kernel reports about objects of a kind.
func Of(kind ref.Kind) List {
	return slices.DeleteFunc(All(), func(c Column) bool {
		return !c.Has(kind) || c.Want&^inventory.WantMemory != 0
	})
}
