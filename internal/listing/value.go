package listing

import (
	"cmp"
	"time"

	"github.com/sysvipc/gipc/internal/account"
	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/render"
)

// A row is an object, and what its values need beyond it.
type row struct {
	*inventory.Object
	names *account.Directory
	now   time.Time
}

// A value is a cell, and what it is sorted by. The zero value is not known.
type value struct {
	cell  render.Cell
	known bool
	num   uint64
	text  string
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

// pid is not known where the kernel says 0: nobody, or nobody visible here.
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
