package groups

import (
	"iter"
	"math"
	"math/bits"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
)

// A Measure is something that is summed up over the objects of a group.
type Measure struct {
	Name  string
	About string
	Bytes bool          // it is a number of bytes
	field fields.Column // a number or a condition; without a name each object counts as 1
}

// Want returns what must be collected to measure objects.
func (m *Measure) Want() inventory.Want { return m.field.Want }

// Measures returns all measures.
func Measures() []Measure {
	return []Measure{
		{Name: "objects", About: "objects"},
		{Name: "bytes", About: "bytes of their memory, or in their queues", Bytes: true, field: fields.Field("size")},
		{Name: "messages", About: "messages in queues", field: fields.Field("messages")},
		{Name: "attachments", About: "attachments of segments", field: fields.Field("nattch")},
		{Name: "waiting", About: "threads that wait", field: fields.Field("waiting")},
		{Name: "orphans", About: "objects whose verdict is orphan", field: fields.Field("orphan")},
	}
}

// A Count is a sum over the objects of a group. Objects that lack the measured field add
// nothing.
type Count struct {
	N       uint64
	Has     bool // at least one object has the field
	Inexact bool // the field of at least one object is unknown
}

// Known reports whether N is the sum. Otherwise no object has the field, or the sum is at
// least N.
func (c Count) Known() bool { return c.Has && !c.Inexact }

// Plus returns the sum of two counts. It stops at the largest number.
func (c Count) Plus(d Count) Count {
	n, carry := bits.Add64(c.N, d.N, 0)
	if carry != 0 {
		n = math.MaxUint64
	}
	return Count{n, c.Has || d.Has, c.Inexact || d.Inexact}
}

// count returns an object's share of a measure.
func (m *Measure) count(r *fields.Row) Count {
	switch {
	case m.field.Name == "":
		return Count{N: 1, Has: true}
	case !m.field.Has(r.Kind):
		return Count{}
	}
	n, known := m.field.Number(r)
	if m.field.Type == fields.Condition { // an unknown verdict does not count as an orphan
		known = true
	}
	return Count{N: n, Has: true, Inexact: !known}
}

// Sum sums up objects, with a count for each measure. fields.Rows yields the rows of an
// inventory.
func Sum(by By, measures []Measure, rows iter.Seq[*fields.Row]) []*Group[[]Count] {
	var t Table[[]Count]
	var key []Value
	for r := range rows {
		key = by.Key(key[:0], r)
		counts := t.At(key)
		if *counts == nil {
			*counts = make([]Count, len(measures))
		}
		for i := range measures {
			(*counts)[i] = (*counts)[i].Plus(measures[i].count(r))
		}
	}
	return t.Groups()
}
