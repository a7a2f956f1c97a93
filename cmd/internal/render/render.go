package render

import (
	"fmt"
	"io"
	"iter"
)

// Write writes rows as a listing. Each row has one cell per column. Write does not keep
// a row after its iteration, so the iterator may reuse one slice.
//
// Plain and Table collect all rows before they write; the other formats write as rows
// arrive.
func Write(w io.Writer, f Format, columns []Column, rows iter.Seq[[]Cell], o Options) error {
	p := printer{w: w, columns: columns, options: o}
	switch f {
	case Table:
		return p.table(rows)
	case Plain:
		return p.plain(rows, "")
	case JSON:
		return p.jsonArray(rows)
	case NDJSON:
		return p.jsonLines(rows)
	case CSV:
		return p.csv(rows)
	case Markdown:
		return p.markdown(rows)
	case HTML:
		return p.html(rows)
	}
	return fmt.Errorf("render: %v is no format", f)
}

// WriteRecord writes one object with a line for each field, and nested objects as
// separate tables. In JSON it is an object, in NDJSON and CSV a listing of one row.
func WriteRecord(w io.Writer, f Format, columns []Column, cells []Cell, o Options) error {
	p := printer{w: w, columns: columns, options: o}
	if err := p.check(cells); err != nil {
		return err
	}
	switch f {
	case Table:
		return p.tableRecord(cells)
	case Plain:
		return p.plainRecord(cells)
	case JSON:
		return p.jsonRecord(cells)
	case Markdown:
		return p.markdownRecord(cells)
	case HTML:
		return p.htmlRecord(cells)
	}
	return Write(w, f, columns, one(cells), o)
}

// WriteRecords writes objects: in formats for people each like [WriteRecord], separated
// by empty lines; in machine formats like [Write].
func WriteRecords(w io.Writer, f Format, columns []Column, rows iter.Seq[[]Cell], o Options) error {
	switch f {
	case JSON, NDJSON, CSV:
		return Write(w, f, columns, rows, o)
	}
	first := true
	for cells := range rows {
		if !first {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		first = false
		if err := WriteRecord(w, f, columns, cells, o); err != nil {
			return err
		}
	}
	return nil
}

// one yields a single row.
func one(cells []Cell) iter.Seq[[]Cell] {
	return func(yield func([]Cell) bool) { yield(cells) }
}

// all yields the rows of a nested listing.
func (n *nested) all(yield func([]Cell) bool) {
	for _, cells := range n.rows {
		if !yield(cells) {
			return
		}
	}
}

// chunk is how much output is buffered before it is written.
const chunk = 64 << 10

// printer collects output in buf and writes it in chunks.
type printer struct {
	w       io.Writer
	columns []Column
	options Options
	buf     []byte
	scratch []byte // a cell that needs a second escaping
}

// check returns an error if a row does not match the columns.
func (p *printer) check(cells []Cell) error {
	if len(cells) != len(p.columns) {
		return fmt.Errorf("render: a row of %d cells for %d columns", len(cells), len(p.columns))
	}
	return nil
}

// each calls add for every row, and writes the buffer whenever it holds a chunk.
func (p *printer) each(rows iter.Seq[[]Cell], add func(cells []Cell)) error {
	for cells := range rows {
		if err := p.check(cells); err != nil {
			return err
		}
		add(cells)
		if err := p.flushChunk(); err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) flushChunk() error {
	if len(p.buf) < chunk {
		return nil
	}
	return p.flush()
}

func (p *printer) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	_, err := p.w.Write(p.buf)
	p.buf = p.buf[:0]
	return err
}

// people returns the text of c for people. The next call reuses its memory.
func (p *printer) people(c *Cell) []byte {
	p.scratch = appendPeople(p.scratch[:0], c, &p.options)
	return p.scratch
}
