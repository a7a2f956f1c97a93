package term

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"postgres: writer ~", "postgres: writer ~"},
		{"größe", "größe"},
		{"日本語", "日本語"},
		{"e\u0301", "e\u0301"},
		{"😀", "😀"},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\x00\a\b\v\f\x7f", `\x00\x07\x08\x0b\x0c\x7f`},
		{"\x1b[2J\x1b]0;title\a", `\x1b[2J\x1b]0;title\x07`},
		{`C:\dir`, `C:\\dir`},
		{`\n`, `\\n`},
		{"\u009b2J", `\u009b2J`}, // CSI as one rune
		{"\x9b2J", `\x9b2J`},     // and as a byte
		{"ok\xffok\xc3", `ok\xffok\xc3`},
		{"\xed\xa0\x80", `\xed\xa0\x80`}, // a surrogate
		{"\xc0\xaf", `\xc0\xaf`},         // an overlong slash
		{"\ufffd", "\ufffd"},
		{"a\u202eb\u2066c\u2069", `a\u202eb\u2066c\u2069`},
		{"a\u200bb\u200db\ufeff\u00ad\u2060", `a\u200bb\u200db\ufeff\u00ad\u2060`},
		{"\u2028\u2029\u0085", `\u2028\u2029\u0085`},
		{"a\u00a0b\u3000c", `a\u00a0b\u3000c`},
		{"\U000e0041\U000e0100", `\U000e0041\U000e0100`},
		{"\ue000\U0010ffff", `\ue000\U0010ffff`},
		{"a\ufe0fb\u034fc\u3164d\u2800e\u180bf\u180f", `a\ufe0fb\u034fc\u3164d\u2800e\u180bf\u180f`},
		{"\u0301a", `\u0301a`},
		{"\n\u0301a", `\n\u0301a`},
		{"\\\u0301a", "\\\\\u0301a"},
	} {
		if got := Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
		if got := string(AppendEscape([]byte("x"), tt.in)); got != "x"+tt.want {
			t.Errorf("AppendEscape(x, %q) = %q, want %q", tt.in, got, "x"+tt.want)
		}
	}
}

func TestEscapeAllocatesNothingForCleanText(t *testing.T) {
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		if Escape("postgres") != "postgres" {
			t.Error("changed")
		}
		dst = AppendEscape(dst[:0], "wal\x1bwriter")
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// unescape reverses Escape.
func unescape(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for s != "" {
		if s[0] != '\\' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		digits := 0
		switch s[1] {
		case 'n', 't', 'r', '\\':
			b.WriteString(map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': `\`}[s[1]])
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			t.Fatalf("unknown escape in %q", s)
		}
		if digits > 0 {
			n, err := strconv.ParseUint(s[2:2+digits], 16, 32)
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			if digits == 2 {
				b.WriteByte(byte(n))
			} else {
				b.WriteRune(rune(n))
			}
		}
		s = s[2+digits:]
	}
	return b.String()
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[2J", "a\\b", "\xff\u0080\u202e", "e\u0301", "日本", "\U000e0041", "\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Escape(%q) = %q is not UTF-8", s, got)
		}
		for _, r := range got {
			if !strconv.IsPrint(r) || drawnAsNothing(r) {
				t.Fatalf("Escape(%q) = %q has %U", s, got, r)
			}
		}
		if r, _ := utf8.DecodeRuneInString(got); RuneWidth(r) == 0 && !isConjoining(r) {
			t.Fatalf("Escape(%q) = %q begins with a mark", s, got)
		}
		if back := unescape(t, got); back != s {
			t.Fatalf("Escape(%q) = %q, which reads back as %q", s, got, back)
		}
		if again := string(AppendEscape(nil, s)); again != got {
			t.Fatalf("AppendEscape(%q) = %q, Escape makes it %q", s, again, got)
		}
		if a, b := StringWidth(got), BytesWidth([]byte(got)); a != b {
			t.Fatalf("%q is %d columns wide as a string, %d as bytes", got, a, b)
		}
	})
}

func BenchmarkEscape(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"clean", "postgres: walwriter"},
		{"umlaut", "größenwahn"},
		{"dirty", "\x1b[2Jpostgres"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 128)
			for b.Loop() {
				dst = AppendEscape(dst[:0], bb.text)
			}
		})
	}
}
