// Package fields is the columns of gipcs ls: what each is called, what has to be
// looked up for it, how it is shown, how it is sorted by, and what value of it a
// selection goes by.
package fields

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A Column is a column that can be chosen.
type Column struct {
	Name  string
	About string
	Type  Type
	Want  inventory.Want // what has to be looked up for it
	align render.Align
	kinds []ref.Kind // that have it; nil means all
	value func(*Row) value
}

// Has reports whether objects of the kind have the column.
func (c *Column) Has(kind ref.Kind) bool { return c.kinds == nil || slices.Contains(c.kinds, kind) }

// of returns the value of the column for an object, the zero value if there is none.
func (c *Column) of(r *Row) value {
	if !c.Has(r.Kind) {
		return value{}
	}
	return c.value(r)
}

// A List is the columns of a listing.
type List []Column

// Default returns the columns in which objects of the given kinds are shown unless
// others are chosen. For machines that is all that cost nothing more to find out.
func Default(kinds []ref.Kind, machine bool) List {
	chosen := forPeople(kinds)
	return slices.DeleteFunc(All(), func(c Column) bool {
		if machine {
			return c.Want != 0 || !slices.ContainsFunc(kinds, c.Has)
		}
		return !slices.Contains(chosen, c.Name) || !slices.ContainsFunc(kinds, c.Has)
	})
}

func forPeople(kinds []ref.Kind) []string {
	names := []string{"kind", "owner", "mode", "age"}
	isPOSIX := func(k ref.Kind) bool { return k.POSIX() }
	if !slices.ContainsFunc(kinds, isPOSIX) {
		return append(names, systemV(kinds)...)
	}
	kinds, files := slices.Clone(kinds), []string{"name", "size", "value", "messages"}
	if kinds = slices.DeleteFunc(kinds, isPOSIX); len(kinds) == 0 {
		return append(names, files...)
	}
	return append(append(names, systemV(kinds)...), files...)
}

func systemV(kinds []ref.Kind) []string {
	names := []string{"id", "key"}
	switch {
	case len(kinds) > 1:
		return append(names, "size", "nattch", "status", "nsems", "messages")
	case kinds[0] == ref.Shm:
		return append(names, "size", "nattch", "status", "cpid", "lpid")
	case kinds[0] == ref.Sem:
		return append(names, "nsems", "otime")
	default:
		return append(names, "size", "messages", "qbytes", "lspid", "lrpid")
	}
}

// Families returns the kinds of System V, those of POSIX, or all, as there are
// objects of them. Without any it is those of System V.
func Families(objects []inventory.Object) []ref.Kind {
	isPOSIX := func(o inventory.Object) bool { return o.Kind.POSIX() }
	switch {
	case !slices.ContainsFunc(objects, isPOSIX):
		return ref.SystemV()
	case slices.ContainsFunc(objects, func(o inventory.Object) bool { return !isPOSIX(o) }):
		return ref.Kinds()
	default:
		return ref.POSIX()
	}
}

// Choose returns the columns that text names, separated by commas. A + in front
// adds them to standard.
func Choose(text string, standard List) (List, error) {
	var list List
	if more, ok := strings.CutPrefix(text, "+"); ok {
		list, text = slices.Clone(standard), more
	}
	all := All()
	for name := range strings.SplitSeq(text, ",") {
		c, err := all.find(name)
		if err != nil {
			return nil, err
		}
		if _, err := list.find(c.Name); err != nil {
			list = append(list, c)
		}
	}
	return list, nil
}

func (l List) find(name string) (Column, error) {
	i := slices.IndexFunc(l, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if i >= 0 {
		return l[i], nil
	}
	names := make([]string, len(l))
	for i := range l {
		names[i] = l[i].Name
	}
	return Column{}, fmt.Errorf("there is no column %q; the columns are %s", name, strings.Join(names, " "))
}

// Want is what has to be looked up for all columns.
func (l List) Want() (w inventory.Want) {
	for i := range l {
		w |= l[i].Want
	}
	return w
}

// Columns returns the columns as package render wants them.
func (l List) Columns() []render.Column {
	columns := make([]render.Column, len(l))
	for i, c := range l {
		columns[i] = render.Column{Name: c.Name, Heading: strings.ToUpper(c.Name), Align: c.align}
	}
	return columns
}

// Rows returns the objects of an inventory in rows of cells. Each row is valid until
// the next.
func (l List) Rows(inv *inventory.Inventory, names *account.Directory) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, len(l))
		r := Row{nil, inv, names}
		for i := range inv.Objects {
			r.Object = &inv.Objects[i]
			if l.Fill(cells, &r); !yield(cells) {
				return
			}
		}
	}
}

// Fill puts the cells of a row, one for each column, into cells.
func (l List) Fill(cells []render.Cell, r *Row) {
	for i := range l {
		cells[i] = l[i].of(r).cell
	}
}

// An Order sorts objects, by its first column before all others.
type Order []criterion

type criterion struct {
	column     Column
	descending bool
}

// ParseOrder reads names of columns, separated by commas. A - in front of a name
// turns its order round.
func ParseOrder(text string) (Order, error) {
	var order Order
	all := All()
	for name := range strings.SplitSeq(text, ",") {
		name, descending := strings.CutPrefix(name, "-")
		c, err := all.find(name)
		if err != nil {
			return nil, err
		}
		order = append(order, criterion{c, descending})
	}
	return order, nil
}

// Want is what has to be looked up to sort.
func (o Order) Want() (w inventory.Want) {
	for i := range o {
		w |= o[i].column.Want
	}
	return w
}

// Sort sorts the objects of an inventory. Equal ones stay in their order, and those
// of which a value is not known come last.
func (o Order) Sort(inv *inventory.Inventory, names *account.Directory) {
	if len(o) == 0 {
		return
	}
	slices.SortStableFunc(inv.Objects, func(a, b inventory.Object) int {
		return o.Compare(&Row{&a, inv, names}, &Row{&b, inv, names})
	})
}

// Compare tells whether x comes before y (below 0) or after it. They may be of
// different inventories.
func (o Order) Compare(x, y *Row) int {
	for i := range o {
		if n := o[i].compare(x, y); n != 0 {
			return n
		}
	}
	return 0
}

func (c *criterion) compare(x, y *Row) int {
	a, b := c.column.of(x), c.column.of(y)
	switch {
	case a.known != b.known:
		if a.known {
			return -1
		}
		return 1
	case c.descending:
		return b.compare(a)
	default:
		return a.compare(b)
	}
}
