package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/render/boxed"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	berlin = time.FixedZone("CET", 3600)

	columns = []render.Column{
		{Name: "key", Heading: "KEY"},
		{Name: "id", Heading: "ID", Align: render.Right},
		{Name: "command"},
		{Name: "bytes", Heading: "BYTES", Align: render.Right},
		{Name: "use", Align: render.Right},
		{Name: "ctime"},
		{Name: "status"},
		{Name: "locked"},
	}
	rows = [][]render.Cell{
		{
			render.Hex(0x4d2, 8), render.Int(65538), render.Text("postgres"), render.Size(1536),
			render.Float(12.345, 1), render.Time(time.Date(2025, 11, 21, 7, 33, 10, 0, berlin)),
			render.List(render.Text("dest"), render.Text("locked")).Warn(), render.Bool(true),
		},
		{
			render.Hex(0xdeadbeef, 8), render.Int(-5), render.Text("a|b`c`<i>\x1b[2J\n*日本語*"), render.Size(math.MaxUint64),
			render.Float(math.NaN(), 1), render.Time(time.Time{}), render.List(), render.Bool(false),
		},
		{
			render.Unknown(), render.Uint(1 << 63), render.Text("=cmd|' /C calc'!A0"), render.Size(0),
			render.Float(0, 0), render.Time(time.Date(2025, 11, 21, 7, 33, 10, 500, time.UTC)),
			render.List(render.Int(-1), render.Unknown()), render.Unknown().Warn(),
		},
		{
			render.Octal(0o600, 4), render.Int(0), render.Text(""), render.Unknown(),
			render.Float(1e21, 0), render.Unknown(), render.Unknown(), render.Unknown(),
		},
	}
	recordColumns = append(slices.Clone(columns),
		render.Column{Name: "attached", Heading: "Attached"},
		render.Column{Name: "limits", Heading: "Limits"},
		render.Column{Name: "waiting", Heading: "Waiting"},
	)
	record = append(slices.Clone(rows[0]),
		render.Objects(
			[]render.Column{{Name: "pid", Align: render.Right}, {Name: "command"}},
			[][]render.Cell{{render.Int(1), render.Text("init")}, {render.Int(4242), render.Text("<b>\x1b")}},
		),
		render.Object([]render.Column{{Name: "shmmax"}, {Name: "shmmni"}}, []render.Cell{render.Size(4096), render.Int(32)}),
		render.Objects([]render.Column{{Name: "pid"}}, nil),
	)
)

func formats(t *testing.T) []render.Format {
	t.Helper()
	var all []render.Format
	for _, name := range render.FormatNames() {
		f, err := render.ParseFormat(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// write returns the output of Write.
func write(t *testing.T, f render.Format, columns []render.Column, rows [][]render.Cell, o render.Options) string {
	t.Helper()
	var out bytes.Buffer
	o.DrawTable = boxed.Draw
	if err := render.Write(&out, f, columns, slices.Values(rows), o); err != nil {
		t.Fatalf("Write %v: %v", f, err)
	}
	var own bytes.Buffer
	o.DrawTable = nil
	if err := render.Write(&own, f, columns, slices.Values(rows), o); err != nil {
		t.Fatalf("Write %v without DrawTable: %v", f, err)
	}
	if own.String() != out.String() {
		t.Errorf("DrawBox draws\n%s\nwhere boxed.Draw draws\n%s", &own, &out)
	}
	return out.String()
}

func TestParseFormat(t *testing.T) {
	for _, f := range formats(t) {
		if got, err := render.ParseFormat(f.String()); err != nil || got != f {
			t.Errorf("ParseFormat(%q) = %v, %v", f.String(), got, err)
		}
	}
	for _, name := range []string{"", "JSON", "yaml", "table "} {
		_, err := render.ParseFormat(name)
		if err == nil || !strings.Contains(err.Error(), "want one of table plain json ndjson csv markdown html") {
			t.Errorf("ParseFormat(%q): %v, want an error that lists the formats", name, err)
		}
	}
	if got := render.Format(99).String(); got != "Format(99)" {
		t.Errorf("Format(99) is %q", got)
	}
	if err := render.Write(io.Discard, render.Format(99), nil, nil, render.Options{}); err == nil {
		t.Error("Write takes Format(99)")
	}
}

func TestGolden(t *testing.T) {
	for _, f := range formats(t) {
		var records bytes.Buffer
		o := render.Options{DrawTable: boxed.Draw}
		if err := render.WriteRecord(&records, f, recordColumns, record, o); err != nil {
			t.Fatalf("WriteRecord %v: %v", f, err)
		}
		var own bytes.Buffer
		if err := render.WriteRecord(&own, f, recordColumns, record, render.Options{}); err != nil || own.String() != records.String() {
			t.Errorf("WriteRecord %v without DrawTable: %v\n%s", f, err, &own)
		}
		var many bytes.Buffer
		if err := render.WriteRecords(&many, f, columns, slices.Values(rows[:2]), o); err != nil {
			t.Fatalf("WriteRecords %v: %v", f, err)
		}
		for name, got := range map[string]string{
			"list":          write(t, f, columns, rows, render.Options{}),
			"list-empty":    write(t, f, columns, nil, render.Options{}),
			"list-bare":     write(t, f, columns, rows[:1], render.Options{NoHeadings: true}),
			"list-human":    write(t, f, columns, rows, render.Options{HumanSizes: true, TimeLayout: "_2 Jan 15:04", MaxWidth: 90}),
			"list-coloured": write(t, f, columns, rows, render.Options{Colour: true}),
			"record":        records.String(),
			"records":       many.String(),
		} {
			golden(t, name+"."+f.String(), got)
		}
	}
}

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// decode parses JSON and keeps numbers as written.
func decode(t *testing.T, s string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in:\n%s", err, s)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one value in:\n%s", s)
	}
	return v
}

func TestJSONValues(t *testing.T) {
	type object = map[string]any
	first := object{
		"key": "0x000004d2", "id": json.Number("65538"), "command": "postgres", "bytes": json.Number("1536"),
		"use": json.Number("12.345"), "ctime": "2025-11-21T07:33:10+01:00", "status": []any{"dest", "locked"}, "locked": true,
	}
	want := []any{
		first,
		object{
			"key": "0xdeadbeef", "id": json.Number("-5"), "command": "a|b`c`<i>\x1b[2J\n*日本語*", "bytes": json.Number("18446744073709551615"),
			"use": nil, "ctime": nil, "status": []any{}, "locked": false,
		},
		object{
			"key": nil, "id": json.Number("9223372036854775808"), "command": "=cmd|' /C calc'!A0", "bytes": json.Number("0"),
			"use": json.Number("0"), "ctime": "2025-11-21T07:33:10.0000005Z", "status": []any{json.Number("-1"), nil}, "locked": nil,
		},
		object{
			"key": "0600", "id": json.Number("0"), "command": "", "bytes": nil,
			"use": json.Number("1000000000000000000000"), "ctime": nil, "status": nil, "locked": nil,
		},
	}
	// Options for people must not change anything.
	o := render.Options{HumanSizes: true, TimeLayout: time.Kitchen, MaxWidth: 10, Colour: true, NoHeadings: true}
	if diff := cmp.Diff(any(want), decode(t, write(t, render.JSON, columns, rows, o))); diff != "" {
		t.Errorf("json (-want +got):\n%s", diff)
	}
	lines := strings.Split(strings.TrimSuffix(write(t, render.NDJSON, columns, rows, o), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("ndjson has %d lines, want %d", len(lines), len(want))
	}
	for i, line := range lines {
		if diff := cmp.Diff(want[i], decode(t, line)); diff != "" {
			t.Errorf("ndjson line %d (-want +got):\n%s", i, diff)
		}
	}

	first["attached"] = []any{
		object{"pid": json.Number("1"), "command": "init"},
		object{"pid": json.Number("4242"), "command": "<b>\x1b"},
	}
	first["limits"] = object{"shmmax": json.Number("4096"), "shmmni": json.Number("32")}
	first["waiting"] = []any{}
	for _, f := range []render.Format{render.JSON, render.NDJSON} {
		var out bytes.Buffer
		if err := render.WriteRecord(&out, f, recordColumns, record, o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(first), decode(t, out.String())); diff != "" {
			t.Errorf("%v record (-want +got):\n%s", f, diff)
		}
	}
	if got := decode(t, write(t, render.JSON, columns, nil, o)); len(got.([]any)) != 0 {
		t.Errorf("json without rows: %v", got)
	}
}

func TestJSONText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", `""`},
		{"größe 日本 😀", `"größe 日本 😀"`},
		{"\"\\/", `"\"\\/"`},
		{"a\nb\tc\rd", `"a\nb\tc\rd"`},
		{"\x00\x1b\x7f\u009b", `"\u0000\u001b\u007f\u009b"`},
		{"\u202e\u2028\ufeff", `"\u202e\u2028\ufeff"`},
		{"\U000e0041\U000e007f", `"\udb40\udc41\udb40\udc7f"`},
		{"a\xffb\xc3", "\"a\ufffdb\ufffd\""},
		{"<&>'", `"<&>'"`},
	} {
		out := write(t, render.NDJSON, []render.Column{{Name: "v"}}, [][]render.Cell{{render.Text(tt.in)}}, render.Options{})
		if want := `{"v":` + tt.want + "}\n"; out != want {
			t.Errorf("json of %q is %s, want %s", tt.in, out, want)
		}
	}
}

func TestDigits(t *testing.T) {
	for _, tt := range []struct {
		cell render.Cell
		want string
	}{
		{render.Hex(0, 0), "0x0"},
		{render.Hex(0, 8), "0x00000000"},
		{render.Hex(0x12345, 2), "0x12345"},
		{render.Hex(math.MaxUint64, 8), "0xffffffffffffffff"},
		{render.Octal(0, 1), "0"},
		{render.Octal(0o644, 1), "644"},
		{render.Octal(0o644, 4), "0644"},
		{render.Octal(math.MaxUint64, 1), "1777777777777777777777"},
		{render.Float(2.5, 0), "2"},
		{render.Float(99.96, 1), "100.0"},
		{render.Float(math.Inf(1), 1), "-"},
	} {
		out := write(t, render.Plain, []render.Column{{Name: "v"}}, [][]render.Cell{{tt.cell}}, render.Options{NoHeadings: true})
		if out != tt.want+"\n" {
			t.Errorf("got %q, want %q", out, tt.want)
		}
	}
}

func TestCSVReadsBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		cell render.Cell
		want string
	}{
		{"text", render.Text("postgres"), "postgres"},
		{"separator", render.Text("a,b"), "a,b"},
		{"quote", render.Text(`say "no"`), `say "no"`},
		{"lines", render.Text("a\nb"), "a\nb"},
		{"return", render.Text("a\rb"), "a\rb"},
		{"control", render.Text("a\x00\x1b\x7f"), "a\x00\x1b\x7f"},
		{"bytes", render.Text("\xff\xfe"), "\xff\xfe"},
		{"blanks", render.Text("  a "), "  a "},
		{"unicode", render.Text("größe日本"), "größe日本"},
		{"empty", render.Text(""), ""},
		{"equals", render.Text("=1+1"), "'=1+1"},
		{"plus", render.Text("+1"), "'+1"},
		{"minus", render.Text("-1"), "'-1"},
		{"at", render.Text("@SUM(A1)"), "'@SUM(A1)"},
		{"tab", render.Text("\t=1"), "'\t=1"},
		{"leading return", render.Text("\r=1"), "'\r=1"},
		{"leading newline", render.Text("\n=1"), "'\n=1"},
		{"full-width", render.Text("＝1+1"), "'＝1+1"},
		{"inner equals", render.Text("a=1"), "a=1"},
		{"list", render.List(render.Text("=a"), render.Int(-1)), "'=a,-1"},
		{"negative", render.Int(-5), "-5"},
		{"float", render.Float(-0.5, 0), "-0.5"},
		{"unknown", render.Unknown(), ""},
		{"yes", render.Bool(true), "true"},
		{"nested", render.Object([]render.Column{{Name: "n"}}, []render.Cell{render.Text(`"`)}), `{"n":"\""}`},
	} {
		// Once alone in its row, once among other fields.
		for _, row := range [][]render.Cell{{tt.cell}, {render.Int(1), tt.cell, render.Text("end")}} {
			cols, want := []render.Column{{Name: "c"}}, []string{tt.want}
			if len(row) > 1 {
				cols, want = []render.Column{{Name: "a"}, {Name: "=b"}, {Name: "c"}}, []string{"1", tt.want, "end"}
			}
			out := write(t, render.CSV, cols, [][]render.Cell{row}, render.Options{HumanSizes: true})
			records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			if err != nil || len(records) != 2 {
				t.Errorf("%s: %q reads as %q, %v", tt.name, out, records, err)
				continue
			}
			if diff := cmp.Diff(want, records[1]); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", tt.name, out, diff)
			}
			if len(row) > 1 && records[0][1] != "'=b" {
				t.Errorf("heading = %q, want it guarded", records[0][1])
			}
			if !strings.HasSuffix(out, "\r\n") {
				t.Errorf("%s: %q does not end in CR LF", tt.name, out)
			}
		}
	}
}

// hostile are texts that try to escape from their cell.
var hostile = []string{
	"<script>alert(1)</script>",
	`" onmouseover="x`,
	"' onmouseover='x",
	"&lt;b&gt;",
	"</td></tr></table>",
	"a|b", "a\nb", "a\r\nb", "\\|x", "\\",
	"`code`", "``", "![x](http://x)", "[x](y)", "**b** _i_ ~s~ $m$", "<!-- ", "# h", "@user",
	"\x1b[2J\x9b1m\u009b1m", "\u202egnp.exe", "a\u200bb\u2028c", "\x00\x07",
}

func TestHostileText(t *testing.T) {
	cols := []render.Column{{Name: "a"}, {Name: "b"}}
	for _, s := range hostile {
		row := []render.Cell{render.Text(s), render.List(render.Text(s))}

		html := write(t, render.HTML, cols, [][]render.Cell{row}, render.Options{NoHeadings: true})
		if n := strings.Count(html, "<"); n != 2*5 {
			t.Errorf("html of %q has %d tags, want 10:\n%s", s, n, html)
		}
		_, inner, _ := strings.Cut(html, "<td>")
		inner, _, _ = strings.Cut(inner, "</td>")
		if strings.ContainsAny(inner, "<>\"'") {
			t.Errorf("html of %q: %q", s, inner)
		}
		if back := unescapeHTML(inner); back != term.Escape(s) {
			t.Errorf("html of %q reads back as %q", s, back)
		}

		md := write(t, render.Markdown, cols, [][]render.Cell{row}, render.Options{})
		if n := strings.Count(md, "\n"); n != 3 {
			t.Errorf("markdown of %q has %d lines, want 3:\n%s", s, n, md)
		}
		lines := strings.Split(md, "\n")
		if n := bareCount(lines[2], '|'); n != 3 {
			t.Errorf("markdown of %q has %d cell separators, want 3: %s", s, n, lines[2])
		}
		for _, c := range "`*_[]<>~$@#!" {
			if n := bareCount(lines[2], byte(c)); n != 0 {
				t.Errorf("markdown of %q has %d bare %c: %s", s, n, c, lines[2])
			}
		}

		for _, f := range []render.Format{render.Plain, render.Table, render.Markdown, render.HTML, render.JSON, render.NDJSON} {
			out := write(t, f, cols, [][]render.Cell{row}, render.Options{})
			for _, r := range strings.ReplaceAll(out, "\n", "") {
				if !strconv.IsPrint(r) {
					t.Errorf("%v of %q has %U", f, s, r)
				}
			}
		}
	}
}

func unescapeHTML(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&amp;", "&").Replace(s)
}

// bareCount counts the occurrences of c in s that no backslash escapes.
func bareCount(s string, c byte) int {
	n := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case c:
			n++
		}
	}
	return n
}

func TestPlainIsAligned(t *testing.T) {
	long := strings.Repeat("x", 300)
	out := write(t, render.Plain, columns, append(slices.Clone(rows), []render.Cell{
		render.Text(long), render.Int(1), render.Text(" "), render.Size(1), render.Unknown(), render.Unknown(), render.Unknown(), render.Text(" trailing  "),
	}), render.Options{})
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines, want 6:\n%s", len(lines), out)
	}
	idEnd := 300 + 2 + len("9223372036854775808")
	for i, line := range lines {
		if line != strings.TrimRight(line, " ") {
			t.Errorf("line %d ends in blanks: %q", i, line)
		}
		if head, _ := term.Truncate(line, idEnd); !strings.HasSuffix(head, [...]string{"ID", "65538", "-5", "9223372036854775808", "0", "1"}[i]) {
			t.Errorf("line %d: the numbers are not aligned: %q", i, head)
		}
	}
	if !strings.Contains(out, long) {
		t.Error("a long text was shortened")
	}
}

func TestPlainOfManyRows(t *testing.T) {
	const n = 50_000
	out := write(t, render.Plain, benchColumns, collect(segments(n)), render.Options{})
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != n+1 {
		t.Fatalf("%d lines, want %d", len(lines), n+1)
	}
	for i, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) != len(benchColumns) || fields[1] != strconv.Itoa(i*3) || fields[4] != strconv.Itoa(i*4096) || len(line) != len(lines[1]) {
			t.Fatalf("line %d: %q", i, line)
		}
	}
}

func collect(rows iter.Seq[[]render.Cell]) [][]render.Cell {
	var all [][]render.Cell
	for cells := range rows {
		all = append(all, slices.Clone(cells))
	}
	return all
}

func TestTableWidth(t *testing.T) {
	cols := []render.Column{{Name: "key"}, {Name: "id", Align: render.Right}, {Name: "command"}, {Name: "user"}}
	list := [][]render.Cell{
		{render.Hex(0x4d2, 8), render.Uint(math.MaxUint64), render.Text(strings.Repeat("日本", 20)), render.Text("postgres-administrator")},
		{render.Hex(1, 8), render.Uint(2), render.Text("sh"), render.Text("root")},
	}
	natural := 0
	for _, width := range []int{0, 1000, 100, 80, 70, 65, 64, 63, 20} {
		out := write(t, render.Table, cols, list, render.Options{MaxWidth: width})
		widest := 0
		for line := range strings.Lines(out) {
			widest = max(widest, term.StringWidth(strings.TrimSuffix(line, "\n")))
		}
		if width == 0 {
			natural = widest
		}
		// The box takes 13, the key 10, and the number 20. Each of the two texts keeps at least
		// 8.
		if limit := max(width, 13+10+20+2*8); width > 0 && widest > limit {
			t.Errorf("MaxWidth %d: %d wide\n%s", width, widest, out)
		}
		if shortened := strings.Contains(out, "…"); shortened != (width > 0 && width < natural) {
			t.Errorf("MaxWidth %d of %d: shortened = %t\n%s", width, natural, shortened, out)
		}
		for _, whole := range []string{"0x000004d2", "18446744073709551615"} {
			if !strings.Contains(out, whole) {
				t.Errorf("MaxWidth %d: %s is cut\n%s", width, whole, out)
			}
		}
	}
}

// TestOmit omits columns by their rank until the rest fits, and reports them.
func TestOmit(t *testing.T) {
	cols := []render.Column{
		{Name: "id", Align: render.Right}, {Name: "size", Align: render.Right, Rank: 1}, {Name: "owner"}, {Name: "mode", Rank: 2},
	}
	list := [][]render.Cell{
		{render.Int(7), render.Uint(4096).Warn(), render.Text("root"), render.Octal(0o600, 4)},
		{render.Int(8), render.Uint(1), render.Text("www-data").Warn(), render.Octal(0o600, 4)},
	}
	const all = 2 + 4 + 8 + 4 // the columns, without the space between and around them
	for _, tt := range []struct {
		format render.Format
		width  int
		want   string
	}{
		{render.Plain, 0, ""},
		{render.Plain, all + 3*2, ""},
		{render.Plain, all + 3*2 - 1, "mode"},
		{render.Plain, all - 4 + 2*2 - 1, "size mode"},
		{render.Plain, 1, "size mode"},
		{render.Table, all + 4*3 + 1, ""},
		{render.Table, all + 4*3, "mode"},
		{render.Table, 1, "size mode"},
	} {
		var omitted []string
		o := render.Options{MaxWidth: tt.width, Colour: true, Omitted: func(headings []string) { omitted = headings }}
		out := write(t, tt.format, cols, list, o)
		if got := strings.Join(omitted, " "); got != tt.want {
			t.Errorf("%v of width %d omits %q, want %q\n%s", tt.format, tt.width, got, tt.want, out)
		}
		for _, c := range cols {
			if strings.Contains(out, c.Name) == slices.Contains(omitted, c.Name) {
				t.Errorf("%v of width %d: %s\n%s", tt.format, tt.width, c.Name, out)
			}
		}
		if !strings.Contains(out, "\x1b[1;33mwww-data\x1b[0m") || strings.Contains(out, "\x1b[1;33m4096") != (!slices.Contains(omitted, "size")) {
			t.Errorf("%v of width %d: the warnings are not where they were\n%q", tt.format, tt.width, out)
		}
	}
}

// TestListOfARecord: in a record, a list that is too wide has a line for each item.
func TestListOfARecord(t *testing.T) {
	columns, cells := []render.Column{{Name: "a"}, {Name: "reasons"}}, []render.Cell{render.Int(1), render.List(render.Text("first"), render.Text("second"))}
	for width, want := range map[int]string{0: "a:        1\nreasons:  first,second\n", 20: "a:        1\nreasons:  first\n          second\n"} {
		var out strings.Builder
		if err := render.WriteRecord(&out, render.Plain, columns, cells, render.Options{MaxWidth: width}); err != nil || out.String() != want {
			t.Errorf("width %d: %v\n%s", width, err, out.String())
		}
	}
}

func TestRowsThatDoNotFit(t *testing.T) {
	for _, f := range formats(t) {
		for _, row := range [][]render.Cell{nil, rows[0][:1], append(slices.Clone(rows[0]), render.Unknown())} {
			o := render.Options{DrawTable: boxed.Draw}
			if err := render.Write(io.Discard, f, columns, slices.Values([][]render.Cell{rows[0], row}), o); err == nil {
				t.Errorf("%v: Write takes a row of %d cells for %d columns", f, len(row), len(columns))
			}
			if err := render.WriteRecord(io.Discard, f, columns, row, o); err == nil {
				t.Errorf("%v: WriteRecord takes %d cells for %d columns", f, len(row), len(columns))
			}
		}
	}
}

var errFull = errors.New("no space left")

// limitedWriter accepts a number of bytes and then fails.
type limitedWriter struct {
	left   int
	failed int // number of failed writes
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		n := w.left
		w.left = 0
		w.failed++
		return n, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	o := render.Options{DrawTable: boxed.Draw}
	for _, f := range formats(t) {
		for _, limit := range []int{0, 100 << 10} {
			w := &limitedWriter{left: limit}
			yielded := 0
			err := render.Write(w, f, benchColumns, func(yield func([]render.Cell) bool) {
				for cells := range segments(5000) {
					yielded++
					if !yield(cells) {
						return
					}
				}
			}, o)
			if !errors.Is(err, errFull) || w.failed != 1 {
				t.Errorf("%v, %d bytes: error %v after %d failed writes, want %v after 1", f, limit, err, w.failed, errFull)
			}
			if streams := f != render.Table && f != render.Plain; streams && yielded == 5000 {
				t.Errorf("%v, %d bytes: went on to read rows after the error", f, limit)
			}
		}
		if err := render.WriteRecord(&limitedWriter{}, f, recordColumns, record, o); !errors.Is(err, errFull) {
			t.Errorf("%v: WriteRecord returns %v, want %v", f, err, errFull)
		}
		if err := render.WriteRecords(&limitedWriter{}, f, columns, slices.Values(rows), o); !errors.Is(err, errFull) {
			t.Errorf("%v: WriteRecords returns %v, want %v", f, err, errFull)
		}
	}
}

// chunkWriter counts writes and bytes.
type chunkWriter struct{ writes, bytes int }

func (w *chunkWriter) Write(p []byte) (int, error) {
	w.writes++
	w.bytes += len(p)
	return len(p), nil
}

func TestOutputIsBuffered(t *testing.T) {
	for _, f := range formats(t) {
		var w chunkWriter
		if err := render.Write(&w, f, benchColumns, segments(5000), render.Options{DrawTable: boxed.Draw}); err != nil {
			t.Fatal(err)
		}
		if most := w.bytes/(64<<10) + 1; w.writes > most {
			t.Errorf("%v: %d bytes in %d writes, want at most %d", f, w.bytes, w.writes, most)
		}
	}
}

func TestFewAllocations(t *testing.T) {
	for _, f := range formats(t) {
		if f == render.Table {
			continue
		}
		allocs := func(rows int) float64 {
			return testing.AllocsPerRun(3, func() {
				if err := render.Write(io.Discard, f, benchColumns, segments(rows), render.Options{}); err != nil {
					t.Fatal(err)
				}
			})
		}
		if more := allocs(11_000) - allocs(1000); more > 100 {
			t.Errorf("%v: 10000 more rows take %v more allocations, want at most 100", f, more)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Add("=1")
	f.Add("\xff\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		cols := []render.Column{{Name: s}, {Name: "n" + s}}
		row := [][]render.Cell{{render.Text(s), render.Int(1)}}

		var objects []map[string]any
		out := write(t, render.JSON, cols, row, render.Options{})
		if err := json.Unmarshal([]byte(out), &objects); err != nil {
			t.Fatalf("json of %q: %v\n%s", s, err, out)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && objects[0][s] != want {
			t.Fatalf("json of %q reads back as %q", s, objects[0][s])
		}
		var std string
		encoded, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(encoded, &std)
		}
		if err != nil || objects[0][std] != std {
			t.Fatalf("json of %q reads back as %q, encoding/json makes it %q, %v", s, objects[0][std], std, err)
		}

		out = write(t, render.CSV, cols, row, render.Options{})
		records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || len(records) != 2 || len(records[1]) != 2 {
			t.Fatalf("csv of %q: %q, %v\n%s", s, records, err, out)
		}
		// The reader turns CR LF within a field into LF.
		want := strings.ReplaceAll(s, "\r\n", "\n")
		if got := records[1][0]; got != want && got != "'"+want {
			t.Fatalf("csv of %q reads back as %q", s, got)
		}
		if got := records[1][0]; got != "" && strings.ContainsRune("=+-@\t\r\n", rune(got[0])) {
			t.Fatalf("csv of %q begins like a formula: %q", s, got)
		}

		if md := write(t, render.Markdown, cols, row, render.Options{}); strings.Count(md, "\n") != 3 || bareCount(strings.Split(md, "\n")[2], '|') != 3 {
			t.Fatalf("markdown of %q:\n%s", s, md)
		}
		if html := write(t, render.HTML, cols, row, render.Options{}); strings.Count(html, "<") != 18 {
			t.Fatalf("html of %q:\n%s", s, html)
		}
		for line := range strings.Lines(write(t, render.Plain, cols, row, render.Options{})) {
			if line = strings.TrimSuffix(line, "\n"); strings.HasSuffix(line, " ") || line == "" {
				t.Fatalf("plain of %q has the line %q", s, line)
			}
		}
	})
}

func TestChange(t *testing.T) {
	columns := []render.Column{{Name: "n"}, {Name: "size"}}
	for _, tt := range []struct {
		n                    int64
		people, human, other string
	}{
		{0, "0  0", "0  0", "0,0"},
		{12, "+12  +12", "+12  +12B", "12,12"},
		{-1536, "-1536  -1536", "-1536  -1.5K", "-1536,-1536"},
		{math.MaxInt64, "+9223372036854775807  +9223372036854775807", "+9223372036854775807  +8E", "9223372036854775807,9223372036854775807"},
		{math.MinInt64, "-9223372036854775808  -9223372036854775808", "-9223372036854775808  -8E", "-9223372036854775808,-9223372036854775808"},
	} {
		for _, form := range []struct {
			format render.Format
			human  bool
			want   string
		}{
			{render.Plain, false, tt.people + "\n"},
			{render.Plain, true, tt.human + "\n"},
			{render.CSV, true, tt.other + "\r\n"},
			{render.NDJSON, true, `{"n":` + strings.Replace(tt.other, ",", `,"size":`, 1) + "}\n"},
		} {
			var out strings.Builder
			rows := slices.Values([][]render.Cell{{render.Change(tt.n), render.SizeChange(tt.n)}})
			err := render.Write(&out, form.format, columns, rows, render.Options{NoHeadings: true, HumanSizes: form.human})
			if err != nil || out.String() != form.want {
				t.Errorf("%v of %d: %q, %v, want %q", form.format, tt.n, out.String(), err, form.want)
			}
		}
	}
}

// TestContainer: people see the beginning of an ID that machines get in full.
func TestContainer(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for _, tt := range []struct{ name, people string }{
		{"docker:" + id, "docker:0123456789ab"},
		{"docker:" + id + ",lxc:web", "docker:0123456789ab,lxc:web"},
		{id, "0123456789ab"},
		{id + "0", id + "0"},
		{"nspawn:debian", "nspawn:debian"},
	} {
		columns, rows := []render.Column{{Name: "container"}}, [][]render.Cell{{render.Container(tt.name)}}
		for format, want := range map[render.Format]string{render.Plain: tt.people + "\n", render.NDJSON: `{"container":"` + tt.name + "\"}\n"} {
			if out := write(t, format, columns, rows, render.Options{NoHeadings: true}); out != want {
				t.Errorf("%v of %s: %q, want %q", format, tt.name, out, want)
			}
		}
	}
}
