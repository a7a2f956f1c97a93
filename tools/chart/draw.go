package main

import (
	"cmp"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes in the picture.
const (
	panelWidth  = 13 * vg.Centimeter
	panelHeight = 9 * vg.Centimeter
	legendWidth = 3 * vg.Centimeter
	gap         = 4 * vg.Millimeter
)

// A measure is what a row of panels shows.
type measure struct {
	title, unit string
	of          func(result) *float64
}

func measures() []measure {
	return []measure{
		{"Round trip", "µs", func(r result) *float64 { return r.RoundTrip }},
		{"One way, as fast as it goes", "MB/s", func(r result) *float64 { return r.MB }},
	}
}

// draw writes the chart: a row of panels for each measure, a column for each place.
func draw(out io.Writer, results []result) error {
	places, ways, sizes := kinds(results)
	rows := measures()
	width := vg.Length(len(places))*panelWidth + legendWidth
	canvas := vgsvg.New(width, vg.Length(len(rows))*panelHeight)
	whole := vgdraw.New(canvas)
	whole.SetColor(color.White) // the page may be dark
	whole.Fill(whole.Path())
	panels := vgdraw.Crop(whole, 0, -legendWidth, 0, 0)

	plots := make([][]*plot.Plot, len(rows))
	for i, m := range rows {
		for _, place := range places {
			p, err := panel(m, place, results, ways, sizes)
			if err != nil {
				return err
			}
			plots[i] = append(plots[i], p)
		}
		sameHeight(plots[i])
	}
	tiles := vgdraw.Tiles{Rows: len(rows), Cols: len(places), PadX: gap, PadY: gap, PadTop: gap, PadBottom: gap, PadLeft: gap, PadRight: gap}
	for i, row := range plot.Align(plots, tiles, panels) {
		for j, c := range row {
			plots[i][j].Draw(c)
		}
	}
	legend, err := legendOf(ways)
	if err != nil {
		return err
	}
	legend.Draw(vgdraw.Crop(whole, width-legendWidth, 0, 0, -2*gap))
	_, err = canvas.WriteTo(out)
	return err
}

// kinds returns the places, ways and sizes in results, in order of appearance.
func kinds(results []result) (places, ways []string, sizes []float64) {
	for _, r := range results {
		if r.Cores != "" && !slices.Contains(places, r.Cores) {
			places = append(places, r.Cores)
		}
		if !slices.Contains(ways, r.Way) {
			ways = append(ways, r.Way)
		}
		if !slices.Contains(sizes, r.Size) {
			sizes = append(sizes, r.Size)
		}
	}
	if len(places) == 0 {
		places = []string{""} // only memcpy
	}
	slices.Sort(sizes)
	return places, ways, sizes
}

// panel draws a measure for a place, with a line for each way.
func panel(m measure, place string, results []result, ways []string, sizes []float64) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = m.title + placeTitle(place)
	p.X.Label.Text = "size of the messages in bytes"
	p.Y.Label.Text = m.unit
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = sizeTicks(sizes), plot.LogTicks{Prec: -1}
	sans(p)
	p.Add(plotter.NewGrid())
	for _, way := range ways {
		points := pointsOf(m, place, way, results)
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.LineStyle, dots.GlyphStyle = styleOf(way)
		p.Add(line, dots)
	}
	// A logarithmic scale has no zero, and needs some width.
	p.X.Min, p.X.Max = sizes[0]/1.5, sizes[len(sizes)-1]*1.5
	if p.Y.Min > p.Y.Max {
		p.Y.Min, p.Y.Max = 1, 10
	}
	p.Y.Min, p.Y.Max = p.Y.Min/1.5, p.Y.Max*1.5
	return p, nil
}

func placeTitle(place string) string {
	switch place {
	case "same":
		return ", both processes on one core"
	case "cross":
		return ", each process on a core of its own"
	default:
		return ""
	}
}

// sans sets all texts in a sans-serif font.
func sans(p *plot.Plot) {
	const title, text = 11, 9
	for _, f := range []*font.Font{&p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant, f.Size = "Sans", text
	}
	p.Title.TextStyle.Font.Variant, p.Title.TextStyle.Font.Size = "Sans", title
}

// pointsOf returns the measurements of a way at a place. memcpy, which ran at no
// particular place, is the limit at all of them.
func pointsOf(m measure, place, way string, results []result) (points plotter.XYs) {
	for _, r := range results {
		if v := m.of(r); r.Way == way && (r.Cores == place || r.Cores == "") && v != nil && *v > 0 {
			points = append(points, plotter.XY{X: r.Size, Y: *v})
		}
	}
	slices.SortFunc(points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	return points
}

// sizeTicks marks the measured sizes.
func sizeTicks(sizes []float64) plot.ConstantTicks {
	ticks := make(plot.ConstantTicks, len(sizes))
	for i, size := range sizes {
		ticks[i] = plot.Tick{Value: size, Label: sizeLabel(size)}
	}
	return ticks
}

func sizeLabel(size float64) string {
	n := int64(size)
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "M"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "K"
	default:
		return strconv.FormatInt(n, 10)
	}
}

// sameHeight gives adjacent panels the same scale.
func sameHeight(row []*plot.Plot) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range row {
		low, high = min(low, p.Y.Min), max(high, p.Y.Max)
	}
	for _, p := range row {
		p.Y.Min, p.Y.Max = low, high
	}
}

func legendOf(ways []string) (plot.Legend, error) {
	legend := plot.NewLegend()
	legend.Top, legend.Left = true, true
	legend.TextStyle.Font.Variant, legend.TextStyle.Font.Size = "Sans", 10
	legend.Padding = vg.Millimeter
	for _, way := range ways {
		line, dots, err := plotter.NewLinePoints(plotter.XYs{{}})
		if err != nil {
			return legend, err
		}
		line.LineStyle, dots.GlyphStyle = styleOf(way)
		legend.Add(way, line, dots)
	}
	return legend, nil
}

// styleOf returns the style of a way: shared memory in blue and green with filled
// marks, the kernel's ways in warm colours with open marks, the limit dashed. The
// colours also differ for people who cannot see red or green.
func styleOf(way string) (vgdraw.LineStyle, vgdraw.GlyphStyle) {
	line := vgdraw.LineStyle{Color: color.Gray{Y: 0x55}, Width: 1.5}
	glyph := vgdraw.GlyphStyle{Radius: 2.5, Shape: vgdraw.CircleGlyph{}}
	rgb := func(r, g, b uint8) color.Color { return color.RGBA{R: r, G: g, B: b, A: 0xff} }
	switch way {
	case "sysv-sem":
		line.Color, glyph.Shape = rgb(0x56, 0xb4, 0xe9), vgdraw.BoxGlyph{}
	case "posix-sem":
		line.Color, glyph.Shape = rgb(0x00, 0x9e, 0x73), vgdraw.PyramidGlyph{}
	case "ring":
		line.Color, line.Width = rgb(0x00, 0x3f, 0x9e), 2.5
	case "stream":
		line.Color, line.Width, glyph.Shape = rgb(0x6a, 0x3d, 0x9a), 2.5, vgdraw.BoxGlyph{}
	case "pipe":
		line.Color, glyph.Shape = rgb(0xd5, 0x5e, 0x00), vgdraw.RingGlyph{}
	case "unix":
		line.Color, glyph.Shape = rgb(0xe6, 0x9f, 0x00), vgdraw.SquareGlyph{}
	case "sysv-msg":
		line.Color, glyph.Shape = rgb(0xcc, 0x79, 0xa7), vgdraw.TriangleGlyph{}
	case "posix-msg":
		line.Color, glyph.Shape = rgb(0x8c, 0x2d, 0x04), vgdraw.CrossGlyph{}
	default:
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	}
	glyph.Color = line.Color
	return line, glyph
}
