//go:build linux

package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A column is a column of the table, by which it can be sorted.
type column int

const (
	objectColumn column = iota
	ownerColumn
	sizeColumn
	byteColumn // byteColumn and the next ones are those of the measures
	messageColumn
	attachColumn
	waiterColumn
	changeColumn
	historyColumn // the table is not sorted by it
)

// columnNames are the names for --sort.
func columnNames() []string {
	return []string{"object", "owner", "size", "bytes", "messages", "attached", "waiters", "change"}
}

// An order is how the table is sorted.
type order struct {
	column     column
	descending bool
	measure    measure // whose change counts
}

// parseOrder parses the value of --sort.
func parseOrder(text string) (order, error) {
	name, descending := strings.CutPrefix(text, "-")
	for i, known := range columnNames() {
		if name == known {
			return order{column: column(i), descending: descending}, nil
		}
	}
	return order{}, fmt.Errorf("there is no column %q; the columns are %s", name, strings.Join(columnNames(), ", "))
}

// by returns the order by another column: figures begin with the largest.
func (o order) by(c column) order {
	return order{c, c >= sizeColumn, o.measure}
}

// compare returns a negative number if a comes before b. Unknown figures come last, and equal
// objects are ordered by their names, so that they keep their places.
func (o order) compare(a, b *track) int {
	var n int
	switch o.column {
	case objectColumn:
		n = compareNames(a.id.Object, b.id.Object)
	case ownerColumn:
		n = cmp.Compare(a.owner, b.owner)
	case changeColumn:
		x, y := a.rates[o.measure], b.rates[o.measure]
		if x.known != y.known {
			return compareKnown(x.known)
		}
		n = cmp.Compare(x.perSecond, y.perSecond)
	default:
		x, y := o.figure(a), o.figure(b)
		if x.known != y.known {
			return compareKnown(x.known)
		}
		n = cmp.Compare(x.n, y.n)
	}
	if o.descending {
		n = -n
	}
	if n == 0 {
		n = compareNames(a.id.Object, b.id.Object)
	}
	return n
}

func (o order) figure(t *track) figure {
	if o.column == sizeColumn {
		return t.size
	}
	return t.figures[o.column-byteColumn]
}

func compareKnown(first bool) int {
	if first {
		return -1
	}
	return 1
}

func compareNames(a, b ref.Object) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
}
