package fields

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/jsonline"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A Printed is an object as gipcs has printed it in JSON, perhaps on another host: a
// value for each column of a List.
type Printed []value

// Read reads an object in JSON. It is an error if the object lacks a column of l, even one
// that is null for objects of its kind; other fields are ignored.
func (l List) Read(line []byte) (Printed, error) {
	p, lacking, err := l.ReadKnown(line)
	if err == nil && len(lacking) > 0 {
		return nil, fmt.Errorf("it lacks the field %s", lacking[0])
	}
	return p, err
}

// ReadKnown is Read for an object that another version of gipcs may have printed: columns
// that it lacks are unknown, and lacking names them.
func (l List) ReadKnown(line []byte) (p Printed, lacking []string, err error) {
	members, err := jsonline.Members(line)
	if err != nil {
		return nil, nil, err
	}
	p = make(Printed, len(l))
	have := make([]bool, len(l))
	next := 0 // gipcs prints the columns in their order
	for name, text := range members {
		i := next
		if i >= len(l) || l[i].Name != string(name) {
			i = slices.IndexFunc(l, func(c Column) bool { return c.Name == string(name) })
		}
		if i < 0 {
			continue
		}
		next, have[i], p[i] = i+1, true, value{}
		if string(text) == "null" {
			continue
		}
		if p[i], err = l[i].read(text); err != nil {
			return nil, nil, fmt.Errorf("its field %s is %.40s, which is no %v", l[i].Name, text, l[i].Type)
		}
	}
	for i := range l {
		if !have[i] {
			lacking = append(lacking, l[i].Name)
		}
	}
	return p, lacking, nil
}

// Fill stores the cells of p, one for each column, in cells.
func (p Printed) Fill(cells []render.Cell) {
	for i := range p {
		cells[i] = p[i].cell
	}
}

// Ref returns the object's kind and its identifier or name, which l must have.
func (l List) Ref(p Printed) (o ref.Object, err error) {
	for i := range l {
		switch v := p[i]; l[i].Name {
		case "kind":
			o.Kind, err = ref.KindNamed(v.text)
		case "id":
			if v.num > math.MaxInt32 {
				return o, fmt.Errorf("its identifier %d is too big", v.num)
			}
			o.ID = int(v.num)
		case "name":
			o.Name = v.text
		}
		if err != nil {
			return o, err
		}
	}
	if o.Kind.POSIX() {
		o.ID = 0
	} else {
		o.Name = ""
	}
	return o, nil
}

// CompareKeys is Compare for the values of the order's columns.
func (o Order) CompareKeys(x, y Printed) int {
	for i := range o {
		if n := o[i].compareValues(x[i], y[i]); n != 0 {
			return n
		}
	}
	return 0
}

// Columns returns the columns by which o sorts.
func (o Order) Columns() List {
	list := make(List, len(o))
	for i := range o {
		list[i] = o[i].column
	}
	return list
}

// read returns the value that was printed as text, which is not null.
func (c *Column) read(text json.RawMessage) (v value, err error) {
	switch c.Type {
	case Number:
		return c.readNumber(text)
	case Time:
		var t time.Time
		err = json.Unmarshal(text, &t)
		return moment(t.Local()), err
	case Duration:
		seconds, err := strconv.ParseUint(string(text), 10, 64)
		if err == nil && seconds > math.MaxInt64/uint64(time.Second) {
			err = strconv.ErrRange
		}
		return span(time.Duration(seconds) * time.Second), err
	case Condition:
		var b bool
		err = json.Unmarshal(text, &b)
		return condition(b), err
	case Texts:
		var list []string
		err = json.Unmarshal(text, &list)
		return texts(list), err
	case Numbers:
		var list []int64
		err = json.Unmarshal(text, &list)
		return numbers(list), err
	default:
		s, err := jsonline.Text(text)
		if c.Name == "verdict" {
			return verdictNamed(s), err
		}
		return words(s), err
	}
}

// readNumber reads a number, or a text in hexadecimal or octal.
func (c *Column) readNumber(text json.RawMessage) (value, error) {
	if text[0] != '"' {
		n, err := strconv.ParseUint(string(text), 10, 64)
		if slices.Contains([]string{"size", "qbytes", "memory", "rss", "swap"}, c.Name) {
			return bytes(n), err
		}
		return number(n), err
	}
	quoted, err := jsonline.Text(text)
	if err != nil {
		return value{}, err
	}
	if digits, ok := strings.CutPrefix(quoted, "0x"); ok {
		n, err := strconv.ParseUint(digits, 16, 64)
		return value{cell: render.Hex(n, min(len(digits), 16)), known: true, num: n}, err
	}
	n, err := strconv.ParseUint(quoted, 8, 64)
	return value{cell: render.Octal(n, min(len(quoted), 16)), known: true, num: n}, err
}

// verdictNamed returns a verdict. Orphans are coloured, because people look for them.
func verdictNamed(name string) value {
	v := words(name)
	if name == inventory.Orphan.String() {
		v.cell = v.cell.Warn()
	}
	return v
}

// Lasting returns the columns whose values stay the same as long as nobody uses, changes
// or replaces an object. They need nothing extra collected.
func Lasting() List {
	return slices.DeleteFunc(All(), func(c Column) bool {
		return c.Want != 0 || c.Name == "age" || c.Name == "idle"
	})
}

// Differs returns the name of the first column of l in which the object of r differs from
// p, "" if there is none.
func (l List) Differs(p Printed, r *Row) string {
	for i := range l {
		// Looking at a POSIX queue changes its ctime.
		if l[i].Name == "ctime" && r.Kind == ref.PMsg {
			continue
		}
		if v := l[i].of(r); v.known != p[i].known || v.compare(p[i]) != 0 {
			return l[i].Name
		}
	}
	return ""
}
