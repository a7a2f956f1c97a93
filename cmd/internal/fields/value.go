package fields

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A Row is an object and the context that its values need.
type Row struct {
	*inventory.Object
	Inventory *inventory.Inventory
	Names     *account.Directory
}

// A Type is the type of a column's values.
type Type int

const (
	Text      Type = iota // string
	Number                // int64
	Time                  // time.Time
	Duration              // time.Duration
	Condition             // bool
	Texts                 // []string
	Numbers               // []int64
)

func (t Type) String() string {
	return [...]string{"text", "number", "time", "duration", "condition", "list of texts", "list of numbers"}[t]
}

// Value returns the column's value for an object, with the Go type listed for its Type,
// or nil if the object has no such value or it is unknown.
func (c *Column) Value(r *Row) any {
	v := c.of(r)
	if !v.known {
		return nil
	}
	switch c.Type {
	case Text:
		return v.text
	case Number:
		return int64(min(v.num, math.MaxInt64))
	case Time:
		return time.Unix(int64(v.num), 0)
	case Duration:
		return time.Duration(v.num)
	case Condition:
		return v.num != 0
	default:
		return v.items
	}
}

// Text returns the column's text for an object; known is false if the object has none or it
// is unknown. The column's type must be Text.
func (c *Column) Text(r *Row) (text string, known bool) {
	v := c.of(r)
	return v.text, v.known
}

// Number returns the column's number for an object, 1 or 0 for a condition; known is false
// if the object has none or it is unknown. The column's type must be Number or Condition.
func (c *Column) Number(r *Row) (n uint64, known bool) {
	v := c.of(r)
	return v.num, v.known
}

// A value is a cell with its sort keys. The zero value is unknown.
type value struct {
	cell  render.Cell
	known bool
	num   uint64
	text  string
	items any // elements of a list
}

func (v value) compare(w value) int {
	if n := cmp.Compare(v.num, w.num); n != 0 {
		return n
	}
	return cmp.Compare(v.text, w.text)
}

func number(n uint64) value { return value{cell: render.Uint(n), known: true, num: n} }

func bytes(n uint64) value { return value{cell: render.Size(n), known: true, num: n} }

func words(s string) value { return value{cell: render.Text(s), known: true, text: s} }

// pid is unknown if the kernel reports 0: no process, or one of another pid namespace.
func pid(n int) value {
	if n == 0 {
		return value{}
	}
	return number(uint64(n))
}

func moment(t time.Time) value {
	if t.IsZero() {
		return value{}
	}
	return value{cell: render.Time(t), known: true, num: uint64(t.Unix())}
}

func span(d time.Duration) value {
	d = max(d, 0)
	return value{cell: render.Duration(d), known: true, num: uint64(d)}
}

func condition(b bool) value {
	v := value{cell: render.Bool(b), known: true}
	if b {
		v.num = 1
	}
	return v
}

// unless returns v, or unknown if hidden.
func (v value) unless(hidden bool) value {
	if hidden {
		return value{}
	}
	return v
}

func texts(list []string) value {
	cells := make([]render.Cell, len(list))
	for i, s := range list {
		cells[i] = render.Text(s)
	}
	return value{cell: render.List(cells...), known: true, text: strings.Join(list, ","), items: list}
}

// numbers sorts by the number of elements.
func numbers(list []int64) value {
	cells := make([]render.Cell, len(list))
	for i, n := range list {
		cells[i] = render.Int(n)
	}
	return value{cell: render.List(cells...), known: true, num: uint64(len(list)), items: list}
}
