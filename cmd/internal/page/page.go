// Package page writes an HTML page with tables and pictures that needs nothing but itself: no
// server, no other file, no request. Its policy (Content-Security-Policy) allows only its own
// script and style sheet, by their hashes. Every text is escaped, so names that other users
// chose cannot add markup.
package page

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/term"
)

//go:embed page.css
var css string

//go:embed page.js
var script string

// Mark begins every page, so that a page can be told from other files.
const Mark = "<!DOCTYPE html>\n<!-- gipcs report -->\n"

// A Page is what is written.
type Page struct {
	Title    string
	Facts    []string // a line below the title
	Notes    []string // what is missing or uncertain
	Sections []Section
	Style    string // the style sheet of pictures
}

// A Section is a part of a page, with a picture or a table.
type Section struct {
	ID, Title string
	Text      string                  // an explanation
	Picture   func(w io.Writer) error // writes an element, which must be safe; or nil
	Columns   []Column
	Rows      [][]Cell // each has a cell for each column
	Empty     string   // shown instead of a table without rows
}

// A Column is a column of a table.
type Column struct {
	Name   string
	Number bool // its cells are sorted by their numbers, and aligned right
	Wide   bool // its cells may be long, and are broken into lines
}

// A Cell is a value.
type Cell struct {
	Text   string
	Number float64 // for a Column of numbers
	Known  bool    // otherwise it is sorted last
	Warn   bool
	Meter  bool // shows Number, a percentage, as a bar too
}

// Text returns a cell with a text.
func Text(s string) Cell { return Cell{Text: s, Known: true} }

// Number returns a cell with a number that is shown as text.
func Number(n float64, text string) Cell { return Cell{Text: text, Number: n, Known: true} }

// Unknown returns a cell whose value is unknown.
func Unknown() Cell { return Cell{Text: "-"} }

// escape makes any text safe for HTML and for a reader.
func escape(s string) string { return html.EscapeString(term.Escape(s)) }

// allow returns the source expression of a policy that allows an inline text.
func allow(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	style := css + p.Style
	fmt.Fprintf(b, `%s<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<style>%s</style>
</head>
<body>
<header>
<h1>%s</h1>
`, Mark, allow(style), allow(script), escape(p.Title), style, escape(p.Title))
	for _, fact := range p.Facts {
		fmt.Fprintf(b, "<p>%s</p>\n", escape(fact))
	}
	fmt.Fprint(b, `<nav aria-label="Sections">`)
	for _, s := range p.Sections {
		fmt.Fprintf(b, `<a href="#%s">%s</a> `, escape(s.ID), escape(s.Title))
	}
	fmt.Fprint(b, "</nav>\n"+
		`<p class="search"><label>Search <input type="search" id="search" autocomplete="off" aria-describedby="found"></label> <span id="found" role="status"></span></p>`+
		"\n</header>\n<main>\n")
	for _, note := range p.Notes {
		fmt.Fprintf(b, "<p class=\"note\">%s</p>\n", escape(note))
	}
	for i := range p.Sections {
		if err := p.Sections[i].write(b); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "</main>\n<script>%s</script>\n</body>\n</html>\n", script)
	return b.Flush()
}

func (s *Section) write(b *bufio.Writer) error {
	fmt.Fprintf(b, "<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">%s</h2>\n", escape(s.ID), escape(s.ID), escape(s.ID), escape(s.Title))
	if s.Text != "" {
		fmt.Fprintf(b, "<p>%s</p>\n", escape(s.Text))
	}
	switch {
	case s.Picture != nil:
		fmt.Fprint(b, "<div class=\"scroll\" tabindex=\"0\">\n")
		if err := s.Picture(b); err != nil {
			return err
		}
		fmt.Fprint(b, "</div>\n")
	case len(s.Rows) == 0:
		fmt.Fprintf(b, "<p>%s</p>\n", escape(s.Empty))
	default:
		s.writeTable(b)
	}
	fmt.Fprint(b, "</section>\n")
	return nil
}

func (s *Section) writeTable(b *bufio.Writer) {
	fmt.Fprint(b, "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr>")
	for _, c := range s.Columns {
		fmt.Fprintf(b, `<th scope="col"%s><button type="button">%s</button></th>`, class(c.Number, "n"), escape(c.Name))
	}
	fmt.Fprint(b, "</tr></thead>\n<tbody>\n")
	for _, row := range s.Rows {
		fmt.Fprint(b, "<tr>")
		for i := range row {
			writeCell(b, &s.Columns[i], &row[i])
		}
		fmt.Fprint(b, "</tr>\n")
	}
	fmt.Fprint(b, "</tbody>\n</table>\n</div>\n")
}

func writeCell(b *bufio.Writer, column *Column, c *Cell) {
	var classes []string
	for _, is := range []struct {
		true bool
		name string
	}{{column.Number, "n"}, {column.Wide, "w"}, {c.Warn, "warn"}} {
		if is.true {
			classes = append(classes, is.name)
		}
	}
	fmt.Fprintf(b, "<td%s", class(len(classes) > 0, strings.Join(classes, " ")))
	if column.Number && c.Known {
		fmt.Fprintf(b, ` data-value="%s"`, strconv.FormatFloat(c.Number, 'f', -1, 64))
	}
	b.WriteByte('>')
	if c.Meter && c.Known {
		const low, high = 80, 95
		fmt.Fprintf(b, `<meter min="0" max="100" low="%d" high="%d" optimum="0" value="%.1f"></meter> `, low, high, min(c.Number, 100))
	}
	fmt.Fprintf(b, "%s</td>", escape(c.Text))
}

func class(is bool, name string) string {
	if !is {
		return ""
	}
	return ` class="` + name + `"`
}
