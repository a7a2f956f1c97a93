package render

import (
	"math"
	"time"
	"unsafe"
)

type kind uint8

const (
	unknown kind = iota
	text
	signed
	unsigned
	unlimited
	size
	float
	hexadecimal
	octal
	boolean
	moment
	span
	list
	object
	objects
)

// Cell is one typed value. The zero value is a value that is not known.
//
// It is three fields of four words in all, for that is the most that the
// compiler keeps in registers; with a bigger one a listing takes a third longer.
type Cell struct {
	// meta holds, from the low end: 8 bits of kind; 8 bits of digits, at least
	// so many for hexadecimal and octal, the decimals of float; the bit warn;
	// from bit 32 the nanoseconds of moment.
	meta uint64
	// num is the number; the length of text; of moment, seconds since 1970.
	num uint64
	// ext is the textData of text, the *time.Location of moment, the []Cell of
	// list, the *nested of object and objects.
	ext any
}

// textData points to the bytes of a string. Other than the string it fits an
// interface without being copied to the heap.
type textData *byte

const warnBit = 1 << 16

func newCell(k kind, digits int, num uint64) Cell {
	return Cell{meta: uint64(k) | uint64(uint8(digits))<<8, num: num}
}

func (c *Cell) kind() kind { return kind(c.meta) }

func (c *Cell) digits() int { return int(uint8(c.meta >> 8)) }

func (c *Cell) warn() bool { return c.meta&warnBit != 0 }

func (c *Cell) text() string {
	return unsafe.String(c.ext.(textData), int(c.num))
}

func (c *Cell) float() float64 { return math.Float64frombits(c.num) }

func (c *Cell) time() time.Time {
	return time.Unix(int64(c.num), int64(c.meta>>32)).In(c.ext.(*time.Location))
}

func (c *Cell) items() []Cell { return c.ext.([]Cell) }

func (c *Cell) nested() *nested { return c.ext.(*nested) }

// isNested reports whether c has columns of its own.
func (c *Cell) isNested() bool { return c.kind() == object || c.kind() == objects }

// nested is what an object cell has (one row), or an objects cell.
type nested struct {
	columns []Column
	rows    [][]Cell
}

// Unknown is a value that is not known: null in JSON, empty in CSV, "-" for
// people.
func Unknown() Cell { return Cell{} }

// Text is any text; it need not be printable, nor UTF-8.
func Text(s string) Cell {
	c := newCell(text, 0, uint64(len(s)))
	c.ext = textData(unsafe.StringData(s))
	return c
}

// Int is a signed number.
func Int(n int64) Cell { return newCell(signed, 0, uint64(n)) }

// Uint is an unsigned number.
func Uint(n uint64) Cell { return newCell(unsigned, 0, n) }

// Unlimited is a number so large that it limits nothing, which people see as that
// word.
func Unlimited(n uint64) Cell { return newCell(unlimited, 0, n) }

// Size is a number of bytes. People may see it as 4K (Options.HumanSizes).
func Size(n uint64) Cell { return newCell(size, 0, n) }

// Float is a number with a fraction, rounded to so many decimals for people. A
// NaN or an infinity is a value that is not known.
func Float(v float64, decimals int) Cell {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown()
	}
	return newCell(float, decimals, math.Float64bits(v))
}

// Hex is a number that every format shows as a text in hexadecimal, after 0x
// and with at least the given number of digits: an IPC key, an address.
func Hex(n uint64, digits int) Cell {
	return newCell(hexadecimal, digits, n)
}

// Octal is a number that every format shows as a text in octal, with at least
// the given number of digits: a mode.
func Octal(n uint64, digits int) Cell {
	return newCell(octal, digits, n)
}

// Bool is true or false; yes or no for people.
func Bool(b bool) Cell {
	if b {
		return newCell(boolean, 0, 1)
	}
	return newCell(boolean, 0, 0)
}

// Time is a point in time, shown in its own location. The zero time is a value
// that is not known.
func Time(t time.Time) Cell {
	if t.IsZero() {
		return Unknown()
	}
	c := newCell(moment, 0, uint64(t.Unix()))
	c.meta |= uint64(t.Nanosecond()) << 32
	c.ext = t.Location()
	return c
}

// Duration is a length of time of at least 0, in whole seconds: a number of them for
// machines, 3d4h for people.
func Duration(d time.Duration) Cell {
	return newCell(span, 0, uint64(max(d, 0)/time.Second))
}

// List is any number of values: an array in JSON, elsewhere joined by commas.
// The items are kept, not copied.
func List(items ...Cell) Cell { return Cell{meta: uint64(list), ext: items} }

// Object is a nested record of one cell per column. The slices are kept, not
// copied.
func Object(columns []Column, cells []Cell) Cell {
	return Cell{meta: uint64(object), ext: &nested{columns, [][]Cell{cells}}}
}

// Objects is a nested listing. The slices are kept, not copied.
func Objects(columns []Column, rows [][]Cell) Cell {
	return Cell{meta: uint64(objects), ext: &nested{columns, rows}}
}

// Warn returns c marked as something a person should look at: coloured if
// colours are on, otherwise the same.
func (c Cell) Warn() Cell {
	c.meta |= warnBit
	return c
}
