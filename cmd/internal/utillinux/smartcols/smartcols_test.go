package smartcols

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestShellName(t *testing.T) {
	for name, want := range map[string]string{"KEY": "KEY", "USE%": "USE_PCT", "a-b c": "a_b_c"} {
		if got := shellName(name); got != want {
			t.Errorf("shellName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestCells(t *testing.T) {
	var c cells
	var want []string
	for _, n := range []int{0, 1, 127, 128, blockSize - 10, blockSize, 2 * blockSize, 5, 0} {
		text := strings.Repeat("x", n)
		c.add([]byte(text))
		want = append(want, text)
	}
	r := c.all()
	for i := range want {
		if got := string(r.next()); got != want[i] {
			t.Errorf("text %d has %d bytes, want %d", i, len(got), len(want[i]))
		}
	}
}

func newTable(style Style, columns []Column, rows ...[]string) *Table {
	t := New(style, columns)
	for _, row := range rows {
		for _, text := range row {
			t.Add(append(t.Cell(), text...))
		}
	}
	return t
}

func printed(t *testing.T, table *Table) string {
	t.Helper()
	var b bytes.Buffer
	if err := table.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPrint(t *testing.T) {
	columns := []Column{{Name: "A"}, {Name: "LONG", Right: true}, {Name: "C%", NoExtremes: true}, {Name: "COMMAND", Truncate: true}}
	rows := [][]string{
		{"1", "22", "x", "a command with blanks"},
		{"", "", "", ""},
		{"ä\t", "7777777", strings.Repeat("y", 20), `\x41 "quoted" $x`},
	}
	for _, tt := range []struct {
		style Style
		want  string
	}{
		{Style{}, `
A               LONG C%                   COMMAND
1                 22 x                    a command with blanks
                                          
\xc3\xa4\x09 7777777 yyyyyyyyyyyyyyyyyyyy \x5cx41 "quoted" $x
`},
		{Style{UTF8: true, NoHeadings: true}, `
1          22 x                    a command with blanks
                                   
ä\x09 7777777 yyyyyyyyyyyyyyyyyyyy \x5cx41 "quoted" $x
`},
		{Style{UTF8: true, Terminal: 30}, `
A        LONG C% COMMAND
1          22 x  a command wit
                 
ä\x09 7777777 yyyyyyyyyyyyyyyyyyyy
                 \x5cx41 "quot
`},
		{Style{Format: Raw, ShellNames: true}, `
A LONG C_PCT COMMAND
1 22 x a\x20command\x20with\x20blanks
   
\xc3\xa4\x09 7777777 yyyyyyyyyyyyyyyyyyyy \x5cx41\x20"quoted"\x20$x
`},
		{Style{Format: Export}, `
A="1" LONG="22" C%="x" COMMAND="a command with blanks"
A="" LONG="" C%="" COMMAND=""
A="\xc3\xa4\x09" LONG="7777777" C%="yyyyyyyyyyyyyyyyyyyy" COMMAND="\x5cx41 \x22quoted\x22 \x24x"
`},
	} {
		if got := "\n" + printed(t, newTable(tt.style, columns, rows...)); got != tt.want {
			t.Errorf("%+v\n got %s\nwant %s", tt.style, got, tt.want)
		}
	}
	if got := printed(t, newTable(Style{}, columns)); got != "" {
		t.Errorf("a table without rows prints %q", got)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("plain", "\"\\\x01\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ToValidUTF8(a, "?"), strings.ToValidUTF8(b, "?")
		text := printed(t, newTable(Style{Format: JSON, Name: "things"}, []Column{{Name: "A"}, {Name: "B"}}, []string{a, b}, []string{b, a}))
		var got struct{ Things []struct{ A, B *string } }
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Things) != 2 {
			t.Fatalf("%v in %s", err, text)
		}
		for i, want := range []string{a, b} {
			if p := got.Things[i].A; (p == nil) != (want == "") || p != nil && *p != want {
				t.Fatalf("%q is not in %s", want, text)
			}
		}
	})
}

func FuzzTerminal(f *testing.F) {
	f.Add("abc", "d\xc3", 10)
	f.Fuzz(func(t *testing.T, a, b string, width int) {
		for _, isUTF8 := range []bool{false, true} {
			columns := []Column{{Name: "A", NoExtremes: true}, {Name: "B", Right: true}, {Name: "C", Truncate: true}}
			text := printed(t, newTable(Style{Terminal: width, UTF8: isUTF8}, columns, []string{a, b, a}, []string{"", a, b}))
			for _, c := range text {
				if c < ' ' && c != '\n' || c == 0x7f {
					t.Fatalf("control character in %q", text)
				}
			}
		}
	})
}
