package render

import (
	"fmt"
	"io"
	"strings"
)

// Format says in which form rows are written.
type Format int

// The formats. The zero value is Table.
const (
	Table    Format = iota // a boxed table
	Plain                  // aligned columns
	JSON                   // an array of objects, or one object
	NDJSON                 // one object a line
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

// Align says on which side of its column a cell stands.
type Align uint8

// The alignments. Numbers belong on the right.
const (
	Left Align = iota
	Right
)

// Column describes a column of a listing, or a field of a record.
type Column struct {
	Name    string // in the machine formats; unique among its columns
	Heading string // in the formats for people; Name if empty
	Align   Align
}

func (c Column) heading() string {
	if c.Heading == "" {
		return c.Name
	}
	return c.Heading
}

// Options change how rows are written. Those for people have no effect on the
// machine formats.
type Options struct {
	// NoHeadings leaves the line of headings out (not in JSON, whose objects
	// have their names anyway).
	NoHeadings bool
	// HumanSizes shows sizes to people as 4K or 1.5M instead of in bytes.
	HumanSizes bool
	// TimeLayout is how times are shown to people, in the notation of
	// [time.Layout]; RFC 3339 if empty.
	TimeLayout string
	// MaxWidth is how many terminal columns a table may take; 0 is any number.
	MaxWidth int
	// Terminal tells that the output is a terminal, where text in csv too is
	// escaped as by [term.Escape].
	Terminal bool
	// Colour sets headings off, and cells that were marked with [Cell.Warn], by
	// a terminal's control sequences, in table and plain.
	Colour bool
	// DrawTable draws the boxes of the Table format; DrawBox if it is nil.
	DrawTable func(w io.Writer, g Grid) error
}
