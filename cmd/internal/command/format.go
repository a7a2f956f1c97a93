package command

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// FormatFlags returns the flags --format and --json; standard is the default.
func FormatFlags(standard string) []cli.Flag {
	words := []string{standard} // the default comes first in the help
	for _, name := range render.FormatNames() {
		if name != standard {
			words = append(words, name)
		}
	}
	return []cli.Flag{
		&ChoiceFlag{
			StringFlag: &cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: standard, Usage: "`FORMAT`: " + strings.Join(words, " ")},
			Words:      render.FormatNames,
		},
		&cli.BoolFlag{Name: "json", Usage: "same as --format json", DisableDefaultText: true},
	}
}

// FormatOf returns the format that --format or --json chooses.
func FormatOf(c *cli.Context) (render.Format, error) {
	if c.Bool("json") {
		if c.IsSet("format") && c.String("format") != "json" {
			return 0, Usagef("--json and --format %s exclude each other", c.String("format"))
		}
		return render.JSON, nil
	}
	f, err := render.ParseFormat(c.String("format"))
	return f, Usage(err)
}

// WriteRows writes a listing to the command's output.
func WriteRows(c *cli.Context, f render.Format, columns []render.Column, rows iter.Seq[[]render.Cell], o render.Options) error {
	o = forOutput(c.App.Writer, o)
	var omitted []string
	o.Omitted = func(headings []string) { omitted = headings }
	if err := render.Write(c.App.Writer, f, columns, rows, o); err != nil || len(omitted) == 0 {
		return err
	}
	_, err := fmt.Fprintf(c.App.ErrWriter, "%s: the terminal is too narrow for %s\n", c.App.Name, strings.Join(omitted, ", "))
	return err
}

// WriteRecords writes objects, one record each, to the command's output.
func WriteRecords(c *cli.Context, f render.Format, columns []render.Column, rows iter.Seq[[]render.Cell], o render.Options) error {
	return render.WriteRecords(c.App.Writer, f, columns, rows, forOutput(c.App.Writer, o))
}

// WriteRecord writes one object to the command's output.
func WriteRecord(c *cli.Context, f render.Format, columns []render.Column, cells []render.Cell) error {
	return render.WriteRecord(c.App.Writer, f, columns, cells, forOutput(c.App.Writer, render.Options{}))
}

// forOutput adds the terminal's properties to o, if the output is one.
func forOutput(w io.Writer, o render.Options) render.Options {
	if IsTerminal(w) {
		fd := w.(descriptor).Fd()
		o.Terminal = true
		o.Colour = term.ColourEnabled(fd)
		o.MaxWidth = term.Width(fd)
	}
	return o
}

// A descriptor is implemented by *os.File and by a command's output.
type descriptor interface{ Fd() uintptr }

// IsTerminal reports whether w, a file or the command's output, is a terminal.
func IsTerminal(w any) bool {
	d, ok := w.(descriptor)
	return ok && term.IsTerminal(d.Fd())
}
