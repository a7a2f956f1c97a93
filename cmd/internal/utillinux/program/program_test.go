package program

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"
)

func TestParseInt(t *testing.T) {
	for _, tt := range []struct {
		in   string
		base int
		want int64
		err  error
	}{
		{"0", 10, 0, nil},
		{" \t5", 10, 5, nil},
		{"+5", 10, 5, nil},
		{"-5", 10, -5, nil},
		{"007", 10, 7, nil},
		{"017", 0, 15, nil},
		{"0x1F", 0, 31, nil},
		{"0X1f", 0, 31, nil},
		{"-0x10", 0, -16, nil},
		{"9223372036854775807", 10, math.MaxInt64, nil},
		{"-9223372036854775808", 10, math.MinInt64, nil},
		{"", 10, 0, syscall.EINVAL},
		{" ", 10, 0, syscall.EINVAL},
		{"-", 10, 0, syscall.EINVAL},
		{"+-5", 10, 0, syscall.EINVAL},
		{"5 ", 10, 0, syscall.EINVAL},
		{"5x", 10, 0, syscall.EINVAL},
		{"0x5", 10, 0, syscall.EINVAL},
		{"0x", 0, 0, syscall.EINVAL},
		{"0xg", 0, 0, syscall.EINVAL},
		{"08", 0, 0, syscall.EINVAL},
		{"0b1", 0, 0, syscall.EINVAL},
		{"1_0", 0, 0, syscall.EINVAL},
		{"8", 8, 0, syscall.EINVAL},
		{"9223372036854775808", 10, 0, syscall.ERANGE},
		{"-9223372036854775809", 10, 0, syscall.ERANGE},
		{"18446744073709551616", 10, 0, syscall.ERANGE},
		{"99999999999999999999x", 10, 0, syscall.ERANGE},
	} {
		got, err := ParseInt(tt.in, tt.base, math.MinInt64, math.MaxInt64)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ParseInt(%q, %d) = %d, %v; want %d, %v", tt.in, tt.base, got, err, tt.want, tt.err)
		}
	}
	for s, want := range map[string]error{"2147483647": nil, "-2147483648": nil, "2147483648": syscall.ERANGE, "-2147483649": syscall.ERANGE} {
		if _, err := ParseID(s); !errors.Is(err, want) {
			t.Errorf("ParseID(%q): %v, want %v", s, err, want)
		}
	}
}

func FuzzParseInt(f *testing.F) {
	f.Add("0x1f", int64(-5))
	f.Add(" +017", int64(1<<40))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		if got, err := ParseInt(s, 0, 0, 1000); err == nil && (got < 0 || got > 1000) {
			t.Fatalf("ParseInt(%q) = %d, beyond its limits", s, got)
		}
		for format, base := range map[string]int{"%d": 10, "%#o": 0, "%#x": 0, "\t%+d": 10} {
			text := fmt.Sprintf(format, n)
			if got, err := ParseInt(text, base, math.MinInt64, math.MaxInt64); err != nil || got != n {
				t.Fatalf("ParseInt(%q, %d) = %d, %v", text, base, got, err)
			}
		}
	})
}

func FuzzAppend(f *testing.F) {
	f.Add("dest", 6, uint32(0xdeadbeef))
	f.Fuzz(func(t *testing.T, s string, width int, n uint32) {
		width = max(0, min(width, 200))
		if !isASCII(s) {
			return // Printf counts runes
		}
		for _, tt := range []struct{ got, want string }{
			{string(PadLeft(nil, s, width)), fmt.Sprintf("%-*s", width, s)},
			{string(PadRight(nil, s, width)), fmt.Sprintf("%*s", width, s)},
			{string(PadUint(nil, uint64(n), width)), fmt.Sprintf("%-*d", width, n)},
			{string(PadOctal(nil, n, width)), fmt.Sprintf("%-*o", width, n)},
			{string(Key(nil, int32(n))), fmt.Sprintf("0x%08x", n)},
			{string(Octal(nil, n)), fmt.Sprintf("%#o", n)},
		} {
			if tt.got != tt.want && n != 0 { // 0 in octal is 0 in C, 00 in Go
				t.Fatalf("got %q, want %q", tt.got, tt.want)
			}
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func TestStrerror(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EACCES:                             "Permission denied",
		fmt.Errorf("x: %w", syscall.ENOSPC):        "No space left on device",
		errors.New("something else"):               "something else",
		fmt.Errorf("x: %w", error(syscall.EINVAL)): "Invalid argument",
	} {
		if got := Strerror(err); got != want {
			t.Errorf("Strerror(%v) = %q, want %q", err, got, want)
		}
	}
}

func TestIsUTF8(t *testing.T) {
	for _, tt := range []struct {
		env  string
		want bool
	}{
		{"", false},
		{"LANG=C.UTF-8", true},
		{"LANG=de_DE.utf8", true},
		{"LANG=C", false},
		{"LANG=C.UTF-8 LC_ALL=C", false},
		{"LANG=C LC_CTYPE=en_US.UTF-8", true},
		{"LANG=C.UTF-8 LC_ALL=", true},
		{"LC_MESSAGES=C.UTF-8", false},
	} {
		p := Start(Env{LookupEnv: func(name string) (string, bool) {
			for _, variable := range strings.Fields(tt.env) {
				if value, ok := strings.CutPrefix(variable, name+"="); ok {
					return value, true
				}
			}
			return "", false
		}})
		if got := p.IsUTF8(); got != tt.want {
			t.Errorf("IsUTF8 with %q = %t, want %t", tt.env, got, tt.want)
		}
	}
}
