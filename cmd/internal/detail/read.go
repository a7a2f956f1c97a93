package detail

import (
	"encoding/json"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// ReadRecord returns the record that gipcs show has printed as JSON, perhaps on another
// host.
func ReadRecord(line []byte) (*Record, error) {
	columns, cells, err := render.ReadJSON(line)
	if err != nil {
		return nil, err
	}
	var object struct{ Kind string }
	_ = json.Unmarshal(line, &object) // it is an object
	kind, err := ref.KindNamed(object.Kind)
	if err != nil {
		return nil, err
	}
	list, err := fields.Choose("+verdict", fields.Of(kind))
	if err != nil {
		return nil, err
	}
	printed, err := list.Read(line)
	if err != nil {
		return nil, err
	}
	known := make([]render.Cell, len(list))
	printed.Fill(known)
	for i, c := range columns {
		if at := slices.IndexFunc(list, func(f fields.Column) bool { return f.Name == c.Name }); at >= 0 {
			cells[i] = known[at]
		}
	}
	return &Record{Columns: columns, Cells: cells}, nil
}
