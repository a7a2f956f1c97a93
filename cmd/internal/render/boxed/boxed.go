// Package boxed draws tables in boxes, for a person at a terminal.
//
// It is apart from package render because the library that it stands on takes
// time at every start of a program that it is linked into; gipcs, which scripts start
// again and again, goes without it. A test holds the two to the same picture.
package boxed

import (
	"bytes"
	"io"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/sysvipc/gipc/cmd/internal/render"
)

// Draw draws g. It serves as DrawTable in [render.Options].
func Draw(w io.Writer, g render.Grid) error {
	align := make([]tw.Align, len(g.Align))
	for i, a := range g.Align {
		align[i] = tw.AlignLeft
		if a == render.Right {
			align[i] = tw.AlignRight
		}
	}
	// The texts are final: nothing is to be wrapped, trimmed or recased. A
	// character's width must not hang on the environment.
	cell := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
		Padding:    tw.CellPadding{Global: tw.PaddingDefault},
		Alignment:  tw.CellAlignment{PerColumn: align},
	}
	// The library drops the errors of its writer.
	var out bytes.Buffer
	t := tablewriter.NewTable(&out,
		tablewriter.WithHeaderConfig(cell),
		tablewriter.WithRowConfig(cell),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithEastAsian(tw.Off),
	)
	if len(g.Headings) > 0 {
		t.Header(g.Headings)
	}
	if err := t.Bulk(g.Rows); err != nil {
		return err
	}
	if err := t.Render(); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}
