package term

import "testing"

func TestStringWidth(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
	}{
		{"", 0},
		{"shmid", 5},
		{"größe", 5},
		{"日本語", 6},
		{"key日本", 7},
		{"한국어", 6},
		{"\u1112\u1161\u11ab", 2}, // the same syllable, decomposed
		{"e\u0301", 1},
		{"\u0905\u0902", 1},
		{"ｱｲｳ", 3}, // half-width
		{"ＡＢ", 4},  // full-width
		{"😀!", 3},
		{"…", 1},
		{"┌─┐", 3},
		{"\u20dd", 0},
	} {
		if got := StringWidth(tt.in); got != tt.want {
			t.Errorf("StringWidth(%q) = %d, want %d", tt.in, got, tt.want)
		}
		if got := BytesWidth([]byte(tt.in)); got != tt.want {
			t.Errorf("BytesWidth(%q) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		head  string
		taken int
	}{
		{"", 3, "", 0},
		{"abc", 3, "abc", 3},
		{"abcd", 3, "abc", 3},
		{"abcd", 0, "", 0},
		{"日本語", 5, "日本", 4},
		{"日本語", 1, "", 0},
		{"e\u0301e\u0301", 1, "e\u0301", 1},
	} {
		head, taken := Truncate(tt.in, tt.width)
		if head != tt.head || taken != tt.taken {
			t.Errorf("Truncate(%q, %d) = %q, %d; want %q, %d", tt.in, tt.width, head, taken, tt.head, tt.taken)
		}
	}
}

func BenchmarkStringWidth(b *testing.B) {
	for _, s := range []string{"postgres: walwriter", "größenwahn", "日本語"} {
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				StringWidth(s)
			}
		})
	}
}
