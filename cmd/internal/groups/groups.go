// Package groups sums up objects that agree in some columns: gipcs ls --by owner,program.
package groups

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
)

// By is the columns in which the objects of a group agree.
type By []fields.Column

// Parse parses a comma-separated list of columns, all of which must hold text.
func Parse(text string) (By, error) {
	var by By
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(fields.All(), func(c fields.Column) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 || fields.All()[i].Type != fields.Text {
			return nil, fmt.Errorf("objects cannot be grouped by %q; the columns for that are %s", name, strings.Join(Columns(), " "))
		}
		c := fields.All()[i]
		if slices.Contains(by.Names(), c.Name) {
			return nil, fmt.Errorf("%s is named twice", c.Name)
		}
		by = append(by, c)
	}
	return by, nil
}

// Columns returns the names of the columns that Parse accepts.
func Columns() (names []string) {
	for _, c := range fields.All() {
		if c.Type == fields.Text {
			names = append(names, c.Name)
		}
	}
	return names
}

// Names returns the names of the columns.
func (by By) Names() (names []string) {
	for i := range by {
		names = append(names, by[i].Name)
	}
	return names
}

// Want returns what must be collected to find an object's group.
func (by By) Want() inventory.Want { return fields.List(by).Want() }

// Key appends an object's value of each column to key.
func (by By) Key(key []Value, r *fields.Row) []Value {
	for i := range by {
		text, known := by[i].Text(r)
		key = append(key, Value{text, known})
	}
	return key
}

// A Value is the text in a column, or unknown; an object without the column has the value
// unknown as well. The zero value is unknown.
type Value struct {
	Text  string
	Known bool
}

func (v Value) compare(w Value) int {
	if v.Known != w.Known {
		if v.Known {
			return -1
		}
		return 1
	}
	return cmp.Compare(v.Text, w.Text)
}

// Compare compares two keys column by column. Unknown values come last.
func Compare(a, b []Value) int { return slices.CompareFunc(a, b, Value.compare) }

// A Group is a key and what was summed up under it.
type Group[S any] struct {
	Key []Value
	Sum S
}

// A Table holds the groups found so far. The zero value is an empty table.
type Table[S any] struct {
	index   map[string]*Group[S]
	groups  []*Group[S]
	encoded []byte
}

// At returns the sum under a key, which it makes if there is none. It keeps no reference to
// key. All keys of a table have the same length.
func (t *Table[S]) At(key []Value) *S {
	t.encoded = encode(t.encoded[:0], key)
	if g := t.index[string(t.encoded)]; g != nil {
		return &g.Sum
	}
	if t.index == nil {
		t.index = make(map[string]*Group[S])
	}
	g := &Group[S]{Key: slices.Clone(key)}
	t.index[string(t.encoded)] = g
	t.groups = append(t.groups, g)
	return &g.Sum
}

// Groups returns the groups in the order in which they were made.
func (t *Table[S]) Groups() []*Group[S] { return t.groups }

// encode appends a form of key that no other key has. Texts may hold any byte.
func encode(dst []byte, key []Value) []byte {
	for _, v := range key {
		if !v.Known {
			dst = binary.AppendUvarint(dst, 0)
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(len(v.Text))+1)
		dst = append(dst, v.Text...)
	}
	return dst
}
