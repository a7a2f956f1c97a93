package command

import (
	"io"
	"iter"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/render"
	"github.com/sysvipc/gipc/internal/render/boxed"
	"github.com/sysvipc/gipc/internal/term"
)

// FormatFlags returns the flags that choose an output format.
func FormatFlags(standard string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: standard, Usage: "`FORMAT` of the output: table plain json ndjson csv markdown html"},
		&cli.BoolFlag{Name: "json", Usage: "short for --format json", DisableDefaultText: true},
	}
}

// FormatOf returns the format that the flags of FormatFlags choose.
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
	return render.Write(c.App.Writer, f, columns, rows, forOutput(c.App.Writer, o))
}

// WriteRecords writes objects one by one to the command's output.
func WriteRecords(c *cli.Context, f render.Format, columns []render.Column, rows iter.Seq[[]render.Cell]) error {
	return render.WriteRecords(c.App.Writer, f, columns, rows, forOutput(c.App.Writer, render.Options{}))
}

// forOutput adds to o what follows from where the output goes.
func forOutput(w io.Writer, o render.Options) render.Options {
	o.DrawTable = boxed.Draw
	if file, ok := w.(*os.File); ok && term.IsTerminal(file.Fd()) {
		o.Colour = term.ColourEnabled(file.Fd())
		o.MaxWidth = term.Width(file.Fd())
	}
	return o
}
