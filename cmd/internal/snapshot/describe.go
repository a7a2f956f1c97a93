package snapshot

import (
	"errors"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// Describe notes which of kinds inv has completely, and what it may lack. failed is the
// error of the selection, or nil.
func (h *Header) Describe(inv *inventory.Inventory, kinds []ref.Kind, failed error) {
	h.Kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind ref.Kind) bool {
		return slices.ContainsFunc(inv.Unlisted, func(u inventory.Unlisted) bool {
			facts := (*sysvipc.Incomplete)(nil) // the objects are there, but facts about them are missing
			return u.Kind == kind && !errors.As(u.Err, &facts)
		})
	})
	for _, u := range inv.Unlisted {
		h.Unseen = append(h.Unseen, u.Err.Error())
	}
	if inv.Hidden.Any() {
		h.Unseen = append(h.Unseen, inv.Hidden.String())
	}
	if inv.Outside {
		h.Unseen = append(h.Unseen, "processes outside this PID namespace could not be seen")
	}
	if failed != nil {
		h.Unseen = append(h.Unseen, failed.Error())
	}
}
