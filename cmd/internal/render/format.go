package render

import (
	"fmt"
	"io"
	"strings"
)

// A Format is the format of a listing.
type Format int

// The formats. The zero value is Table.
const (
	Table    Format = iota // a boxed table
	Plain                  // aligned columns
	JSON                   // an array of objects, or one object
	NDJSON                 // one object per line
	CSV                    // RFC 4180
	Markdown               // a table in GitHub's flavour
	HTML                   // a table element
)

var formatNames = [...]string{"table", "plain", "json", "ndjson", "csv", "markdown", "html"}

// ParseFormat returns the format of the given name.
func ParseFormat(name string) (Format, error) {
	for f, known := range formatNames {
		if name == known {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("unknown format %q: want one of %s", name, strings.Join(formatNames[:], " "))
}

// FormatNames returns the names of all formats.
func FormatNames() []string {
	names := formatNames
	return names[:]
}

// String returns the name of f.
func (f Format) String() string {
	if f < 0 || int(f) >= len(formatNames) {
		return fmt.Sprintf("Format(%d)", int(f))
	}
	return formatNames[f]
}

// An Align is the side of its column on which a cell is aligned.
type Align uint8

// The alignments. Numbers are aligned right.
const (
	Left Align = iota
	Right
)

// A Column describes a column of a listing, or a field of a record.
type Column struct {
	Name    string // in machine formats; unique among its columns
	Heading string // in formats for people; Name if empty
	Align   Align
	// Rank orders the columns that plain and table omit from a listing wider than
	// Options.MaxWidth: the highest rank goes first. A column of rank 0 always stays.
	Rank int
}

func (c Column) heading() string {
	if c.Heading == "" {
		return c.Name
	}
	return c.Heading
}

// Options control how rows are written. Options for people have no effect on the machine
// formats.
type Options struct {
	// NoHeadings omits the line of headings (except in JSON, whose objects need names).
	NoHeadings bool
	// HumanSizes shows sizes to people as 4K or 1.5M instead of in bytes.
	HumanSizes bool
	// TimeLayout is the layout of times for people, as in [time.Layout]; RFC 3339 if
	// empty.
	TimeLayout string
	// MaxWidth is the maximum width in terminal columns of plain and table; 0 is unlimited.
	MaxWidth int
	// Omitted, unless it is nil, is called with the headings of the columns that were omitted
	// because of MaxWidth.
	Omitted func(headings []string)
	// Terminal is set if the output is a terminal, so that csv texts are escaped as by
	// [term.Escape], too.
	Terminal bool
	// Colour highlights headings and cells marked with [Cell.Warn], in table and plain.
	Colour bool
	// DrawTable draws tables for the Table format; nil means DrawBox.
	DrawTable func(w io.Writer, g Grid) error
}
