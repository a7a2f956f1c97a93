package snapshot

import (
	"cmp"
	"compress/gzip"
	"io"
	"iter"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// columns returns the columns of a snapshot that objects of a kind have: all columns of
// gipcs ls except the most expensive one, memory in use, and the texts of the reasons.
func columns(kind ref.Kind) fields.List {
	return slices.DeleteFunc(fields.All(), func(c fields.Column) bool {
		return !c.Has(kind) || c.Want&inventory.WantMemory != 0 || c.Name == "reasons"
	})
}

// Want returns what must be collected for a snapshot.
func Want() (w inventory.Want) {
	for _, kind := range ref.Kinds() {
		w |= columns(kind).Want()
	}
	return w
}

// Write writes a snapshot of the objects of an inventory, which was collected with Want.
// It sets h.Objects to their number.
func Write(w io.Writer, h *Header, inv *inventory.Inventory, names *account.Directory) error {
	h.Objects = len(inv.Objects)
	columnsOfHeader, cells := h.record()
	if err := render.WriteRecord(w, render.NDJSON, columnsOfHeader, cells, render.Options{}); err != nil {
		return err
	}
	for kind, part := range byKind(inv) {
		list := columns(kind)
		if err := render.Write(w, render.NDJSON, list.Columns(), list.Rows(part, names), render.Options{}); err != nil {
			return err
		}
	}
	return nil
}

// WriteCompressed is Write through gzip.
func WriteCompressed(w io.Writer, h *Header, inv *inventory.Inventory, names *account.Directory) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	return cmp.Or(Write(z, h, inv, names), z.Close())
}

// byKind yields the objects of an inventory in runs of one kind.
func byKind(inv *inventory.Inventory) iter.Seq2[ref.Kind, *inventory.Inventory] {
	return func(yield func(ref.Kind, *inventory.Inventory) bool) {
		for rest := inv.Objects; len(rest) > 0; {
			n := slices.IndexFunc(rest, func(o inventory.Object) bool { return o.Kind != rest[0].Kind })
			if n < 0 {
				n = len(rest)
			}
			part := *inv
			part.Objects = rest[:n]
			if !yield(rest[0].Kind, &part) {
				return
			}
			rest = rest[n:]
		}
	}
}
