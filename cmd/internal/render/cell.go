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
	change
	sizeChange
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

// Cell is one typed value. The zero value is unknown.
//
// Its three fields take four words, the most that the compiler keeps in registers; a
// larger Cell makes listings a third slower.
type Cell struct {
	// meta holds, from the low end: 8 bits of kind; 8 bits of digits (the minimum for
	// hexadecimal and octal, the decimals of float); the warn bit; and from bit 32 the
	// nanoseconds of moment.
	meta uint64
	// num is the number, the length of text, or the seconds of moment since 1970.
	num uint64
	// ext is the textData of text, the *time.Location of moment, the []Cell of list, or
	// the *nested of object and objects.
	ext any
}

// textData points to the bytes of a string. Unlike a string it fits an interface
// without a heap allocation.
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

// nested holds the content of an object cell (one row) or an objects cell.
type nested struct {
	columns []Column
	rows    [][]Cell
}

// Unknown is an unknown value: null in JSON, empty in CSV, "-" for people.
func Unknown() Cell { return Cell{} }

// Text is any text; it need not be printable or UTF-8.
func Text(s string) Cell {
	c := newCell(text, 0, uint64(len(s)))
	c.ext = textData(unsafe.StringData(s))
	return c
}

// Container is text with names of containers, such as docker:ID. People see the first 12 of
// an ID's 64 hexadecimal digits, as container runtimes print it.
func Container(s string) Cell {
	c := Text(s)
	c.meta |= shownDigits << 8
	return c
}

// shownDigits is how many digits people see of an identifier of idDigits.
const (
	shownDigits = 12
	idDigits    = 64
)

// Int is a signed number.
func Int(n int64) Cell { return newCell(signed, 0, uint64(n)) }

// Uint is an unsigned number.
func Uint(n uint64) Cell { return newCell(unsigned, 0, n) }

// Unlimited is a number too large to limit anything, shown to people as "unlimited".
func Unlimited(n uint64) Cell { return newCell(unlimited, 0, n) }

// Size is a number of bytes, shown to people as 4K with Options.HumanSizes.
func Size(n uint64) Cell { return newCell(size, 0, n) }

// AsSize returns a whole number of at least 0 as a Size, and any other cell as it is.
func (c Cell) AsSize() Cell {
	if k := c.kind(); k == unsigned || k == signed && int64(c.num) >= 0 {
		return Size(c.num)
	}
	return c
}

// Change is a difference, shown to people with its sign unless it is 0.
func Change(n int64) Cell { return newCell(change, 0, uint64(n)) }

// SizeChange is a difference in bytes, shown to people like Change, and as +4K with
// Options.HumanSizes.
func SizeChange(n int64) Cell { return newCell(sizeChange, 0, uint64(n)) }

// Float is a number with a fraction, rounded to decimals for people. NaN and infinities
// become Unknown.
func Float(v float64, decimals int) Cell {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown()
	}
	return newCell(float, decimals, math.Float64bits(v))
}

// Hex is a number that every format shows as hexadecimal text with the prefix 0x and at
// least the given number of digits: an IPC key, an address.
func Hex(n uint64, digits int) Cell {
	return newCell(hexadecimal, digits, n)
}

// Octal is a number that every format shows as octal text with at least the given
// number of digits: a mode.
func Octal(n uint64, digits int) Cell {
	return newCell(octal, digits, n)
}

// Bool is true or false, shown to people as yes or no.
func Bool(b bool) Cell {
	if b {
		return newCell(boolean, 0, 1)
	}
	return newCell(boolean, 0, 0)
}

// Time is a point in time, shown in its own location. The zero time becomes Unknown.
func Time(t time.Time) Cell {
	if t.IsZero() {
		return Unknown()
	}
	c := newCell(moment, 0, uint64(t.Unix()))
	c.meta |= uint64(t.Nanosecond()) << 32
	c.ext = t.Location()
	return c
}

// Duration is a length of time, cut to whole seconds and at least 0: a number for
// machines, 3d4h for people.
func Duration(d time.Duration) Cell {
	return newCell(span, 0, uint64(max(d, 0)/time.Second))
}

// List is a list of values: an array in JSON, elsewhere joined by commas. It keeps
// items without copying.
func List(items ...Cell) Cell { return Cell{meta: uint64(list), ext: items} }

// Object is a nested record with one cell per column. It keeps the slices without
// copying.
func Object(columns []Column, cells []Cell) Cell {
	return Cell{meta: uint64(object), ext: &nested{columns, [][]Cell{cells}}}
}

// Objects is a nested listing. It keeps the slices without copying.
func Objects(columns []Column, rows [][]Cell) Cell {
	return Cell{meta: uint64(objects), ext: &nested{columns, rows}}
}

// Warn returns c marked as a warning, which colours it if colours are on.
func (c Cell) Warn() Cell {
	c.meta |= warnBit
	return c
}
