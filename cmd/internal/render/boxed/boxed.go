// Package boxed draws tables in boxes for a terminal.
//
// It is separate from package render because its library costs time at every start of a
// program that links it. gipcs, which scripts start very often, uses render.DrawBox
// instead. A test checks that both draw the same.
package boxed

import (
	"bytes"
	"io"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/sysvipc/gipc/cmd/internal/render"
)

// Draw draws g. Use it as DrawTable in [render.Options].
func Draw(w io.Writer, g render.Grid) error {
	align := make([]tw.Align, len(g.Align))
	for i, a := range g.Align {
		align[i] = tw.AlignLeft
		if a == render.Right {
			align[i] = tw.AlignRight
		}
	}
	// The texts are final: do not wrap, trim or recase them. The width of a character
	// must not depend on the environment.
	cell := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
		Padding:    tw.CellPadding{Global: tw.PaddingDefault},
		Alignment:  tw.CellAlignment{PerColumn: align},
	}
	// The library ignores its writer's errors, so write to memory first.
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
