// Package fields defines the columns of gipcs ls: names, data to collect, presentation,
// sort order, and the values that a selection compares.
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
	Want  inventory.Want // what must be collected for it
	align render.Align
	kinds []ref.Kind // kinds that have it; nil means all
	value func(*Row) value
}

// Has reports whether objects of the kind have the column.
func (c *Column) Has(kind ref.Kind) bool { return c.kinds == nil || slices.Contains(c.kinds, kind) }

// of returns the value of the column for an object, the zero value if the object has
// none.
func (c *Column) of(r *Row) value {
	if !c.Has(r.Kind) {
		return value{}
	}
	return c.value(r)
}

// A List is the columns of a listing, in order.
type List []Column

// Default returns the columns shown by default for objects of the given kinds. For
// machine formats these are all columns that need nothing extra collected.
func Default(kinds []ref.Kind, machine bool) List {
	chosen := forPeople(kinds)
	return slices.DeleteFunc(All(), func(c Column) bool {
		if machine {
			return c.Want != 0 || !slices.ContainsFunc(kinds, c.Has)
		}
		return !slices.Contains(chosen, c.Name) || !slices.ContainsFunc(kinds, c.Has)
	})
}

// Narrow lets a narrow terminal omit columns that were not chosen by name.
func Narrow(columns []render.Column) []render.Column {
	omissible := []string{"mode", "value", "nsems", "qbytes", "status", "otime", "lspid", "lrpid", "cpid", "lpid", "messages", "key", "age", "nattch", "owner"}
	for i := range columns {
		if at := slices.Index(omissible, columns[i].Name); at >= 0 {
			columns[i].Rank = len(omissible) - at
		}
	}
	return columns
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

// Families returns the System V kinds, the POSIX kinds or both, depending on what
// objects contains. Without objects it returns the System V kinds.
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

// Choose parses a comma-separated list of column names. With a leading + they are added
// to standard.
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

// Field returns the field of the given name; it panics if there is none.
func Field(name string) Column {
	c, err := Fields().find(name)
	if err != nil {
		panic(err)
	}
	return c
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

// Want returns what must be collected for the columns.
func (l List) Want() (w inventory.Want) {
	for i := range l {
		w |= l[i].Want
	}
	return w
}

// Columns returns the columns for package render.
func (l List) Columns() []render.Column {
	columns := make([]render.Column, len(l))
	for i, c := range l {
		columns[i] = render.Column{Name: c.Name, Heading: strings.ToUpper(c.Name), Align: c.align}
	}
	return columns
}

// Rows yields the objects of an inventory as rows of cells. Each row is valid until the
// next one.
func (l List) Rows(inv *inventory.Inventory, names *account.Directory) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, len(l))
		for r := range Rows(inv, names) {
			if l.Fill(cells, r); !yield(cells) {
				return
			}
		}
	}
}

// Rows yields the objects of an inventory. Each row is valid until the next one.
func Rows(inv *inventory.Inventory, names *account.Directory) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		r := Row{nil, inv, names}
		for i := range inv.Objects {
			if r.Object = &inv.Objects[i]; !yield(&r) {
				return
			}
		}
	}
}

// ExpectNames announces all names that rows may show, so that they are looked up at once.
func ExpectNames(inv *inventory.Inventory, names *account.Directory) {
	for i := range inv.Objects {
		o := &inv.Objects[i]
		names.ExpectUser(o.Ownership().UID)
		if perm := o.Perm(); perm != nil {
			names.ExpectUser(perm.CUID)
		}
	}
}

// Fill stores the cells of a row, one for each column, in cells.
func (l List) Fill(cells []render.Cell, r *Row) {
	for i := range l {
		cells[i] = l[i].of(r).cell
	}
}

// An Order sorts objects by its first column, then by the next ones.
type Order []criterion

type criterion struct {
	column     Column
	descending bool
}

// ParseOrder parses a comma-separated list of column names. A leading - reverses the
// order of its column.
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

// Want returns what must be collected to sort.
func (o Order) Want() (w inventory.Want) {
	for i := range o {
		w |= o[i].column.Want
	}
	return w
}

// Sort sorts the objects of an inventory. The sort is stable; objects whose value is
// unknown come last.
func (o Order) Sort(inv *inventory.Inventory, names *account.Directory) {
	if len(o) == 0 {
		return
	}
	slices.SortStableFunc(inv.Objects, func(a, b inventory.Object) int {
		return o.Compare(&Row{&a, inv, names}, &Row{&b, inv, names})
	})
}

// Compare returns a negative number if x comes before y, a positive one if it comes
// after. x and y may be of different inventories.
func (o Order) Compare(x, y *Row) int {
	for i := range o {
		if n := o[i].compare(x, y); n != 0 {
			return n
		}
	}
	return 0
}

func (c *criterion) compare(x, y *Row) int {
	return c.compareValues(c.column.of(x), c.column.of(y))
}

func (c *criterion) compareValues(a, b value) int {
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
